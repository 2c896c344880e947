from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from media import samples_of

from ml.artifacts import ArtifactStore
from ml.options import PipelineOptions
from ml.source.fetch import fetch
from ml.stage import Context, Input, Recording


@pytest.fixture
def recorded(tmp_path: Path) -> Callable[[Path], tuple[Context, Recording]]:
    """Fetch a file and return what the transcribe stage starts from."""

    def make(path: Path) -> tuple[Context, Recording]:
        workdir = tmp_path / "work"
        workdir.mkdir()
        store = ArtifactStore(f"file://{tmp_path}/store")
        context = Context(Input("file", str(path)), PipelineOptions(), store, workdir)
        return context, fetch(context)

    return make


@pytest.fixture
def samples(jfk: Path) -> Callable[[str], np.ndarray]:
    """Return the samples of one of the clips of the tests, at 16 kHz."""
    return lambda name: samples_of(jfk.with_name(name))
