from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from emotion_clf.cli.serve import command
from ml.errors import ModelUnavailable


def test_a_service_whose_classifier_is_damaged_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, data = tmp_path / "model", tmp_path / "data"
    model.mkdir()
    monkeypatch.setenv("EMOTION_MODEL", str(model))
    result = CliRunner().invoke(command, ["--data", str(data)])
    assert isinstance(result.exception, ModelUnavailable)
    assert not data.exists()
