from __future__ import annotations

import pytest

from emotion_clf.cli.failures import report
from ml.errors import ServiceError


def test_an_error_of_several_lines_becomes_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(ServiceError("It ended:\n  first\n  second")) == 69
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("emotion-clf: service.failed: It ended: first second")


@pytest.mark.parametrize(("level", "traces"), [("info", False), ("debug", True)])
def test_a_bug_is_one_line_and_its_place_only_on_request(
    level: str,
    traces: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("LOG_LEVEL", level)
    try:
        raise RuntimeError("no\nsuch luck")
    except RuntimeError as error:
        assert report(error) == 70
    said = capsys.readouterr().err
    assert said.splitlines()[-1].startswith("emotion-clf: internal: RuntimeError: no such luck.")
    assert ("Traceback" in said) is traces
