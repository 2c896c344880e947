"""Opens the artifact store that the settings name."""

from __future__ import annotations

from app.settings import Settings
from ml.artifacts import ArtifactStore


def open_store(settings: Settings) -> ArtifactStore:
    """Return the store of uploads and stage outputs."""
    return ArtifactStore(settings.artifact_url)
