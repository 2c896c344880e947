"""Where stage outputs live: bytes under keys, behind any fsspec file system.

A key is made from the digest of what the output depends on, so a repeated job, a retried
step and a resumed job find what is there already.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, cast

import fsspec


def digest(*parts: Any) -> str:
    """Return the SHA-256 of JSON-serialisable values, as 64 hexadecimal digits."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def artifact_key(stage: str, version: str, options: Any, inputs: Sequence[str], part: int) -> str:
    """Return the key of one stage output.

    ``inputs`` are the content digests of what the stage reads, ``options`` the values that
    its output depends on.
    """
    return f"stages/{stage}/{digest(stage, version, options, list(inputs), part)}.json"


class ArtifactStore:
    """Bytes under keys below one fsspec URL (``file:///var/lib/x``, ``s3://bucket/x``).

    Writes are atomic: a reader sees the whole object or none.
    """

    def __init__(self, url: str) -> None:
        self._fs, self._root = fsspec.core.url_to_fs(url)

    def _path(self, key: str) -> str:
        if ".." in key.split("/") or key.startswith("/"):
            raise ValueError(f"not an artifact key: {key!r}")
        return f"{self._root}/{key}"

    def exists(self, key: str) -> bool:
        """Whether the object is there, asked anew each time."""
        self._fs.invalidate_cache()
        return bool(self._fs.isfile(self._path(key)))

    def read(self, key: str) -> bytes:
        """Return the object; raise FileNotFoundError where there is none."""
        return cast(bytes, self._fs.cat_file(self._path(key)))

    def open(self, key: str) -> IO[bytes]:
        """Open the object for reading; the file can seek."""
        return cast(IO[bytes], self._fs.open(self._path(key), "rb"))

    def write(self, key: str, data: bytes) -> None:
        """Store the object, replacing what was there."""
        self._put(key, io.BytesIO(data))

    def write_file(self, key: str, path: Path) -> None:
        """Store a local file."""
        with path.open("rb") as source:
            self._put(key, source)

    def read_file(self, key: str, path: Path) -> None:
        """Copy the object into a local file; raise FileNotFoundError where there is none."""
        with self.open(key) as source, path.open("wb") as sink:
            shutil.copyfileobj(source, sink)

    def delete(self, key: str) -> None:
        """Remove the object if it is there."""
        if self.exists(key):
            self._fs.rm_file(self._path(key))

    def _put(self, key: str, source: IO[bytes], chunk: int = 1 << 20) -> None:
        target = self._path(key)
        self._fs.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
        temporary = f"{target}.{uuid.uuid4().hex}.tmp"
        try:
            with self._fs.open(temporary, "wb") as sink:
                while data := source.read(chunk):
                    sink.write(data)
            self._fs.mv(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                self._fs.rm_file(temporary)
            raise
