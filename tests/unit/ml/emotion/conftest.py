"""The carried checkpoint, loaded once, and copies of it to damage."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ml.emotion.checkpoint import CARRIED
from ml.emotion.classifier import Classifier


@pytest.fixture(scope="session")
def classifier() -> Classifier:
    return Classifier()


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the carried checkpoint."""
    return Path(shutil.copytree(CARRIED, tmp_path / "copied"))
