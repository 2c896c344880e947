"""Files of JSON Lines that a process may die over: its last line may be half written."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TypeVar

import msgspec

T = TypeVar("T", bound=msgspec.Struct)


class NotRecords(Exception):
    """A file holds something else than was to be found in it."""


class InUse(Exception):
    """Another process writes to the file."""


def open_records(path: Path) -> IO[bytes]:
    """Open a file to read it and to append to it, for this process alone.

    Raises InUse, and OSError where the file cannot be written.
    """
    file = path.open("a+b")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise InUse from None
    return file


def read_records(file: IO[bytes], kind: type[T]) -> Iterator[tuple[bytes, T]]:
    """Yield each line and what it holds; a half-written last line is cut off.

    Raises NotRecords for a line that was never one of ours, or the beginning of one.
    """
    file.seek(0)
    end = 0
    for line in file:
        if not line.endswith(b"\n"):
            if not _begins(line, kind):
                raise NotRecords
            break
        try:
            record = msgspec.json.decode(line, type=kind)
        except (msgspec.DecodeError, ValueError):
            raise NotRecords from None
        end += len(line)
        yield line, record
    file.truncate(end)


def _begins(line: bytes, kind: type[msgspec.Struct]) -> bool:
    """Whether a line that breaks off may have become a record."""
    starts = [f'{{"{name}":'.encode() for name in kind.__struct_encode_fields__]
    return any(line.startswith(start) or start.startswith(line) for start in starts)


def append(file: IO[bytes], data: bytes) -> None:
    """Append data, so that it survives the death of this process."""
    file.write(data)
    file.flush()
