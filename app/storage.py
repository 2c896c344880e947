"""Where artifacts lie: each owner's in a folder of its own, which the others cannot reach.

Keys are digests of contents. Would owners share them, one owner's cache hits would tell what
another has worked on, and erasing for one would take from the other.
"""

from __future__ import annotations

import hashlib
import re

from app.settings import Settings
from ml.artifacts import ArtifactStore

_FOLDER_LENGTH = 32
_ARTIFACT = re.compile(rf"(?:([0-9a-f]{{{_FOLDER_LENGTH}}})/)?((?:uploads|audio|stages)/.+)")


def open_store(settings: Settings) -> ArtifactStore:
    """Return the store of all owners."""
    return ArtifactStore(settings.artifact_url)


def folder_of(owner: str) -> str:
    """Return the name of an owner's folder: a digest, as owners may have any name."""
    return hashlib.sha256(owner.encode()).hexdigest()[:_FOLDER_LENGTH]


def store_of(owner: str, store: ArtifactStore) -> ArtifactStore:
    """Return the uploads and stage outputs of one owner."""
    return store.below(folder_of(owner))


def owner_and_key(path: str) -> tuple[str, str] | None:
    """Return the owner's folder and the key of an artifact, by its path in the store of all.

    The folder is empty for those that versions up to 0.1 stored. None for what is no artifact
    of ours: whoever shares a bucket with others must not clear theirs away.
    """
    found = _ARTIFACT.fullmatch(path)
    return (found[1] or "", found[2]) if found else None
