"""Where stage outputs live: bytes under keys, behind any fsspec file system.

A key is made from the digest of what the output depends on, so a repeated job, a retried
step and a resumed job find what is there already.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import io
import json
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Self, cast

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


_MODIFIED = ("mtime", "LastModified", "last_modified", "created")
"""What file systems call the time of the last change: local, S3, Azure, memory."""


class ArtifactMissing(FileNotFoundError):
    """There is no such object: it expired, was erased, or the store was emptied."""


class ArtifactStore:
    """Bytes under keys below one fsspec URL (``file:///var/lib/x``, ``s3://bucket/x``).

    Writes are atomic: a reader sees the whole object or none.
    """

    def __init__(self, url: str) -> None:
        self._fs, self._root = fsspec.core.url_to_fs(url)
        self._announce: Callable[[Sequence[str]], None] = lambda keys: None

    def below(self, name: str) -> Self:
        """Return the part of the store whose keys start with ``name``, without it."""
        store = copy.copy(self)
        store._root = self._path(name)
        return store

    def announcing(self, announce: Callable[[Sequence[str]], None]) -> Self:
        """Return a store that names, before each write, the objects which that may leave.

        These are the object itself and its unfinished copy, which stays where the process
        is killed. Nothing is written where ``announce`` raises.
        """
        store = copy.copy(self)
        store._announce = announce
        return store

    def _path(self, key: str) -> str:
        if ".." in key.split("/") or key.startswith("/"):
            raise ValueError(f"not an artifact key: {key!r}")
        return f"{self._root}/{key}"

    def exists(self, key: str) -> bool:
        """Whether the object is there, asked anew each time."""
        self._fs.invalidate_cache()
        return bool(self._fs.isfile(self._path(key)))

    def read(self, key: str) -> bytes:
        """Return the object; raise ArtifactMissing where there is none."""
        with _missing(key):
            return cast(bytes, self._fs.cat_file(self._path(key)))

    def open(self, key: str) -> IO[bytes]:
        """Open the object for reading; the file can seek. Raises ArtifactMissing."""
        with _missing(key):
            return cast(IO[bytes], self._fs.open(self._path(key), "rb"))

    def write(self, key: str, data: bytes) -> None:
        """Store the object, replacing what was there."""
        self._put(key, io.BytesIO(data))

    def write_file(self, key: str, path: Path) -> None:
        """Store a local file."""
        with path.open("rb") as source:
            self._put(key, source)

    def write_stream(self, key: str, source: IO[bytes]) -> None:
        """Store what can be read from an open file, from where it stands."""
        self._put(key, source)

    def read_file(self, key: str, path: Path) -> None:
        """Copy the object into a local file; raise ArtifactMissing where there is none."""
        with self.open(key) as source, path.open("wb") as sink:
            shutil.copyfileobj(source, sink)

    def delete(self, key: str) -> None:
        """Remove the object if it is there."""
        if self.exists(key):
            self._fs.rm_file(self._path(key))

    def older_than(self, moment: datetime) -> Iterator[list[str]]:
        """Yield the keys of all objects that were last written before ``moment``, by folder."""
        self._fs.invalidate_cache()
        for folder, _, files in self._fs.walk(self._root, detail=True):
            old = [name for name, info in files.items() if self._modified(info) < moment]
            prefix = folder.removeprefix(self._root).lstrip("/")
            yield [f"{prefix}/{name}" if prefix else name for name in old]

    def _modified(self, info: Mapping[str, Any]) -> datetime:
        found = next((info[name] for name in _MODIFIED if info.get(name) is not None), None)
        if isinstance(found, int | float):
            return datetime.fromtimestamp(found, UTC)
        moment = cast(datetime, found or self._fs.modified(info["name"]))
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    def _put(self, key: str, source: IO[bytes], chunk: int = 1 << 20) -> None:
        target = self._path(key)
        suffix = f".{uuid.uuid4().hex}.tmp"
        temporary = target + suffix
        self._announce([key, key + suffix])
        self._fs.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
        try:
            with self._fs.open(temporary, "wb") as sink:
                while data := source.read(chunk):
                    sink.write(data)
            self._fs.mv(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                self._fs.rm_file(temporary)
            raise


@contextlib.contextmanager
def _missing(key: str) -> Iterator[None]:
    """Say which object is missing, whatever the file system says."""
    try:
        yield
    except FileNotFoundError as error:
        raise ArtifactMissing(key) from error
