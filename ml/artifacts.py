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

from ml.file_systems import asking, check_address, open_file_system, stores_whole

_COPY_BYTES = 1 << 20
_READ_BYTES = 4 << 20
_PART_BYTES = 8 << 20
"""Of a large object that is written in parts; S3 takes ten thousand of them."""


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

    Writes are atomic: a reader sees the whole object or none. Every method raises
    :class:`ml.errors.StoreUnavailable` where the store is away, or
    :class:`ml.errors.StoreRefused` where it lets nobody in. A store may be used by many threads,
    and in processes that were forked.
    """

    def __init__(self, url: str) -> None:
        check_address(url)
        self._url = url
        self._folder = ""
        self._announce: Callable[[Sequence[str]], None] = lambda keys: None

    def below(self, name: str) -> Self:
        """Return the part of the store whose keys start with ``name``, without it."""
        store = copy.copy(self)
        store._folder = f"{self._folder}/{_checked(name)}"
        return store

    def announcing(self, announce: Callable[[Sequence[str]], None]) -> Self:
        """Return a store that names, before each write, the objects which that may leave.

        These are the object itself and, on a disk, its unfinished copy, which stays where the
        process is killed. Nothing is written where ``announce`` raises.
        """
        store = copy.copy(self)
        store._announce = announce
        return store

    @property
    def _fs(self) -> Any:
        return open_file_system(self._url)[0]

    @property
    def _root(self) -> str:
        return open_file_system(self._url)[1] + self._folder

    def _path(self, key: str) -> str:
        return f"{self._root}/{_checked(key)}"

    def verify(self) -> None:
        """Write, read and remove a small object, to see whether that is allowed."""
        key = f"stages/check/{uuid.uuid4().hex}"  # where the janitor looks, should it be left
        self.write(key, b"x")
        self.read(key)
        self.delete(key)

    def exists(self, key: str) -> bool:
        """Whether the object is there, asked anew each time."""
        path = self._path(key)
        try:
            with asking():
                return bool(self._fs.info(path)["type"] == "file")
        except FileNotFoundError:
            return False

    def read(self, key: str) -> bytes:
        """Return the object; raise ArtifactMissing where there is none."""
        path = self._path(key)
        with _missing(key):
            return cast(bytes, self._fs.cat_file(path))

    def open(self, key: str) -> IO[bytes]:
        """Open the object for reading; the file can seek. Raises ArtifactMissing."""
        path = self._path(key)
        with _missing(key):
            # The buffer is ours: object stores would read ahead far more than a stretch of audio.
            options = {"cache_type": "none"} if stores_whole(self._url) else {}
            file = self._fs.open(path, "rb", **options)
            return io.BufferedReader(_Reader(file, key), _READ_BYTES)

    def write(self, key: str, data: bytes) -> None:
        """Store the object, replacing what was there."""
        if not stores_whole(self._url):
            self._put(key, io.BytesIO(data))
            return
        path = self._path(key)
        self._announce([key])
        with asking():
            self._fs.pipe_file(path, data)

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
        path = self._path(key)
        with contextlib.suppress(FileNotFoundError), asking():
            self._fs.rm_file(path)

    def older_than(self, moment: datetime) -> Iterator[list[str]]:
        """Yield the keys of all objects that were last written before ``moment``, by folder."""
        root = self._root
        folders = [root]
        while folders:
            folder = folders.pop()
            entries = self._entries(folder)
            folders += [e["name"].rstrip("/") for e in entries if e["type"] == "directory"]
            files = (e for e in entries if e["type"] == "file")
            yield [
                file["name"].removeprefix(root).lstrip("/")
                for file in files
                if self._modified(file) < moment
            ]

    def _entries(self, folder: str) -> list[dict[str, Any]]:
        """Return what lies in a folder, which may have gone meanwhile."""
        try:
            with asking():
                listed = self._fs.ls(folder, detail=True)
        except FileNotFoundError:
            return []
        # Some stores list the folder itself.
        return [entry for entry in listed if entry["name"].rstrip("/") != folder]

    def _modified(self, info: Mapping[str, Any]) -> datetime:
        found = next((info[name] for name in _MODIFIED if info.get(name) is not None), None)
        if isinstance(found, int | float):
            return datetime.fromtimestamp(found, UTC)
        moment = cast(datetime, found or self._fs.modified(info["name"]))
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    def _put(self, key: str, source: IO[bytes]) -> None:
        path = self._path(key)
        if stores_whole(self._url):
            self._announce([key])
            self._upload(path, source)
            return
        suffix = f".{uuid.uuid4().hex}.tmp"
        self._announce([key, key + suffix])
        self._write_aside(path, suffix, source)

    def _upload(self, path: str, source: IO[bytes]) -> None:
        """Copy into a new object, of which nothing is left where that fails."""
        with asking():
            sink = self._fs.open(path, "wb", block_size=_PART_BYTES)
        try:
            while data := source.read(_COPY_BYTES):
                with asking():
                    sink.write(data)
            with asking():
                sink.close()
        except BaseException:
            with contextlib.suppress(Exception):
                sink.discard()
            # Else it is closed when it is collected, and what came so far appears.
            sink.closed = True
            raise

    def _write_aside(self, target: str, suffix: str, source: IO[bytes]) -> None:
        """Copy into a file of another name, which takes the target's place when it is complete."""
        temporary = target + suffix
        with asking():
            self._fs.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
            sink = self._fs.open(temporary, "wb")
        try:
            try:
                while data := source.read(_COPY_BYTES):
                    with asking():
                        sink.write(data)
            finally:
                with asking():
                    sink.close()
            with asking():
                self._fs.mv(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                self._fs.rm_file(temporary)
            raise


class _Reader(io.RawIOBase):
    """A file in a store, whose failures are errors of ours."""

    def __init__(self, file: IO[bytes], key: str) -> None:
        self._file = file
        self._key = key

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: Any) -> int:
        with _missing(self._key):
            data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def _checked(key: str) -> str:
    if ".." in key.split("/") or key.startswith("/"):
        raise ValueError(f"not an artifact key: {key!r}")
    return key


@contextlib.contextmanager
def _missing(key: str) -> Iterator[None]:
    """Say which object is missing, whatever the file system says."""
    try:
        with asking():
            yield
    except FileNotFoundError as error:
        raise ArtifactMissing(key) from error
