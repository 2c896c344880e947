from __future__ import annotations

from pathlib import Path

import pytest

from ml.artifacts import ArtifactStore
from ml.options import PipelineOptions
from ml.stage import Context, Input


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """A context with a store and an empty work directory; the source is to be replaced."""
    workdir = tmp_path / "work"
    workdir.mkdir()
    store = ArtifactStore(f"file://{tmp_path}/store")
    return Context(Input("file", ""), PipelineOptions(), store, workdir)
