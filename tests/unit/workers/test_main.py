from __future__ import annotations

from pathlib import Path

import pytest

from app.settings import Settings
from workers.main import main, verify


def test_a_worker_without_its_checkpoint_says_so_and_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EMOTION_MODEL", str(tmp_path))
    monkeypatch.setattr("workers.main.configure_logging", lambda level, service: None)
    assert main(["gpu"]) == 78
    assert "lacks config.json" in capsys.readouterr().err


def test_a_worker_that_classifies_nothing_needs_no_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMOTION_MODEL", str(tmp_path))
    verify("cpu", Settings.load())


def test_a_worker_whose_cookie_file_is_missing_does_not_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EMOTION_CLF_SOURCE__COOKIE_FILE", "/nowhere/cookies.txt")
    monkeypatch.setattr("workers.main.configure_logging", lambda level, service: None)
    assert main(["cpu"]) == 78
    assert "source.cookie_file cannot be read" in capsys.readouterr().err
