from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ml.artifacts import ArtifactStore
from ml.options import PipelineOptions
from ml.source.decode import decode
from ml.source.fetch import fetch
from ml.source.wav import read_span
from ml.stage import Context, Input, Recording, Span


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
def samples(jfk: Path, tmp_path: Path) -> Callable[[str], np.ndarray]:
    """Return the samples of one of the clips of the tests, at 16 kHz."""

    def read(name: str) -> np.ndarray:
        target = tmp_path / "samples.wav"
        with jfk.with_name(name).open("rb") as file:
            decoded = decode(file, target, max_seconds=60)
        with target.open("rb") as wav:
            return read_span(wav, Span(0.0, decoded.duration))

    return read
