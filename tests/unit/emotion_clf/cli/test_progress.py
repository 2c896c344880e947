from __future__ import annotations

import pytest

from emotion_clf.cli import progress as module


def test_without_a_terminal_seconds_of_audio_are_said_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([0.0, 10.0, 11.0, 12.5, 13.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    report = module._lines(module.Console(stderr=True))
    report("fetch", 0.0, "")
    report("fetch", 0.1, "5 of 60 s")
    report("fetch", 0.2, "7 of 60 s")
    report("fetch", 0.3, "20 of 60 s")
    report("transcribe", 0.4, "")
    assert [line.split() for line in capsys.readouterr().err.splitlines()] == [
        ["0%", "fetch"],
        ["10%", "fetch", "5", "of", "60", "s"],
        ["30%", "fetch", "20", "of", "60", "s"],
        ["40%", "transcribe"],
    ]
