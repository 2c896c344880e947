"""Where a result goes: to stdout, or into a file that appears when it is complete."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import click


@contextmanager
def sink(output: Path | None) -> Iterator[IO[str]]:
    """Open the output before the work starts: a wrong path must not cost an hour.

    A file keeps what it held until the block ends without an error. Devices and pipes are
    written to as they are. Raises :class:`click.UsageError` for what cannot be written.
    """
    if output is None or _is_stdout(output):
        yield sys.stdout
    elif output.exists() and not output.is_file():
        with _opened(output, "w") as file:
            yield file
    else:
        with _replacement(output.resolve()) as file:
            yield file


def _is_stdout(path: Path) -> bool:
    """Return whether a path, such as ``/dev/stdout``, is what stdout writes to already."""
    try:
        return os.path.samestat(path.stat(), os.fstat(1))
    except OSError:
        return False


@contextmanager
def _replacement(target: Path) -> Iterator[IO[str]]:
    """Yield a new file beside the target, which takes its place when all went well."""
    exists = target.exists()
    if exists and not os.access(target, os.W_OK):
        raise _unwritable(target, "Permission denied")
    temporary = target.parent / f".emotion-clf-{secrets.token_hex(8)}"
    try:
        with _opened(temporary, "x", shown=target) as file:
            yield file
        if exists:
            shutil.copymode(target, temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _opened(path: Path, mode: str, shown: Path | None = None) -> IO[str]:
    try:
        return path.open(mode, encoding="utf-8", newline="")
    except OSError as error:
        raise _unwritable(shown or path, error.strerror) from error


def _unwritable(path: Path, reason: str | None) -> click.UsageError:
    return click.UsageError(f"{path} cannot be written: {reason}.")
