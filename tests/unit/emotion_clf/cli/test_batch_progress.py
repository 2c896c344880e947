from __future__ import annotations

import pytest
from rich.console import Console

from emotion_clf.batch.items import Failure, Outcome
from emotion_clf.cli import batch_progress as module
from emotion_clf.cli.batch_progress import batch_progress

BAD = Outcome("b.mp3", error=Failure("media.invalid", "It is damaged.", "Mend it."))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that is shown, in seconds."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_each_item_is_a_line_with_counts_and_the_time_left(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with batch_progress(100, done=10, failed=1) as progress:
        progress.working("a.mp3", "fetch", 0.1, "")
        clock[0] = 30
        progress.working("a.mp3", "transcribe", 0.5, "1 of 2 s")
        progress.working("a.mp3", "transcribe", 0.6, "2 of 2 s")
        clock[0] = 60
        progress.ended(Outcome("[a].mp3"))
        progress.ended(BAD)
    assert capsys.readouterr().err.splitlines() == [
        "10 of 100, 1 failed: transcribe 50%  a.mp3",
        "11 of 100, 1 failed, 1 h 29 min left: completed  [a].mp3",
        "12 of 100, 2 failed, 44 min 0 s left: media.invalid  b.mp3",
    ]


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    with batch_progress(2, done=0, failed=0, quiet=True) as progress:
        progress.ended(BAD)
    assert capsys.readouterr().err == ""


def test_a_terminal_shows_a_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        module, "Console", lambda stderr, quiet: Console(stderr=True, force_terminal=True, width=90)
    )
    with batch_progress(2, done=0, failed=0) as progress:
        progress.working("[a].mp3", "transcribe", 0.5, "")
        progress.ended(BAD)
        progress.bar.refresh()  # type: ignore[attr-defined]
    said = capsys.readouterr().err
    assert "1 of 2, 1 failed" in said
    assert "transcribe 50%  [a].mp3" in said
