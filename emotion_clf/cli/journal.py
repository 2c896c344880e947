"""The output of a batch, which is also its memory: what is written is not done again.

JSON Lines say themselves which items have ended. CSV holds rows of those that went well alone,
so a second file, named like it with ``.state`` behind, says what has ended and how long the
CSV was then; rows of an item that was interrupted are cut off.
"""

from __future__ import annotations

import csv
import io
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Literal, Protocol

import click
import msgspec

from emotion_clf.batch.items import Failure, Outcome
from emotion_clf.batch.records import InUse, NotRecords, append, open_records, read_records
from ml.export import CSV_COLUMNS, csv_rows, csv_text

Form = Literal["jsonl", "csv"]


class Journal(Protocol):
    """Takes outcomes, and knows those of earlier runs."""

    ended: dict[str, Failure | None]
    """The items that earlier runs have ended, and the errors of those that failed."""

    def write(self, outcome: Outcome) -> None:
        """Write down what became of an item; it survives the death of this process."""


class _Ended(msgspec.Struct, frozen=True):
    """What JSON Lines are asked for: the analysis is not read again."""

    source: str
    error: Failure | None = None


class _State(msgspec.Struct, frozen=True):
    """An item that has ended, and the length of the CSV after it, in bytes."""

    source: str
    end: int
    error: Failure | None = None


@contextmanager
def open_journal(output: Path | None, form: Form, *, retry_failed: bool) -> Iterator[Journal]:
    """Open the output, or take stdout, which remembers nothing.

    With ``retry_failed`` the items that failed count as not done. Raises
    :class:`click.UsageError` for a file that cannot be written or holds something else.
    """
    with ExitStack() as opened:
        if output is None:
            yield _Stdout(form)
        elif form == "jsonl":
            yield _Lines(output, opened, retry_failed)
        else:
            yield _Rows(output, opened, retry_failed)


def beside(output: Path, suffix: str) -> Path:
    """Return the file that is kept beside an output, named like it with ``suffix`` behind."""
    return output.with_name(output.name + suffix)


@contextmanager
def journalled(path: Path | None) -> Iterator[None]:
    """Turn what is wrong with a file of records into a :class:`click.UsageError`."""
    try:
        yield
    except InUse:
        raise click.UsageError(f"Another run writes to {path}.") from None
    except NotRecords:
        raise _foreign(path) from None
    except OSError as error:
        raise click.UsageError(f"{path} cannot be written: {error.strerror}.") from error


class _Stdout:
    def __init__(self, form: Form) -> None:
        self.ended: dict[str, Failure | None] = {}
        self._form = form
        if form == "csv":
            self._put(_header())

    def write(self, outcome: Outcome) -> None:
        self._put(_rows(outcome) if self._form == "csv" else _line(outcome))

    def _put(self, data: bytes) -> None:
        sys.stdout.write(data.decode())
        sys.stdout.flush()


class _Lines:
    def __init__(self, path: Path, opened: ExitStack, retry_failed: bool) -> None:
        self._file = opened.enter_context(_opened(path))
        self.ended = _read(path, self._file)
        if retry_failed and any(self.ended.values()):
            self._file = opened.enter_context(_without_failed(path, self._file))
            self.ended = _read(path, self._file)

    def write(self, outcome: Outcome) -> None:
        append(self._file, _line(outcome))


class _Rows:
    def __init__(self, path: Path, opened: ExitStack, retry_failed: bool) -> None:
        states_path = beside(path, ".state")
        if path.exists() and path.stat().st_size and not states_path.exists():
            raise _foreign(path)
        self._state = opened.enter_context(_opened(states_path))
        self._file = opened.enter_context(_opened(path))
        with journalled(states_path):
            states = [state for _, state in read_records(self._state, _State)]
        self._cut(path, states[-1].end if states else 0)
        self.ended = {state.source: state.error for state in states}
        if retry_failed:
            self.ended = {source: None for source, error in self.ended.items() if error is None}

    def write(self, outcome: Outcome) -> None:
        append(self._file, _rows(outcome))
        state = _State(outcome.source, self._file.tell(), outcome.error)
        append(self._state, msgspec.json.encode(state) + b"\n")

    def _cut(self, path: Path, end: int) -> None:
        if self._file.seek(0, os.SEEK_END) < end:
            raise _foreign(path)
        self._file.truncate(end)
        if not end:
            append(self._file, _header())


def _read(path: Path, file: IO[bytes]) -> dict[str, Failure | None]:
    with journalled(path):
        return {ended.source: ended.error for _, ended in read_records(file, _Ended)}


@contextmanager
def _without_failed(path: Path, file: IO[bytes]) -> Iterator[IO[bytes]]:
    """Put a file without the items that failed into the place of one with them."""
    target = path.resolve()
    temporary = target.parent / f".emotion-clf-{secrets.token_hex(8)}"
    try:
        with _opened(temporary) as kept:
            for line, ended in read_records(file, _Ended):
                if ended.error is None:
                    kept.write(line)
            kept.flush()
            shutil.copymode(target, temporary)
            temporary.replace(target)
            yield kept
    finally:
        temporary.unlink(missing_ok=True)


def _opened(path: Path) -> IO[bytes]:
    with journalled(path):
        return open_records(path)


def _foreign(path: Path | None) -> click.UsageError:
    return click.UsageError(f"{path} holds no output of a batch; name another file.")


def _line(outcome: Outcome) -> bytes:
    """Return an item as a line of JSON: source, status, and the analysis or the error."""
    found = {"error": outcome.error} if outcome.error else {"analysis": outcome.analysis}
    status = "failed" if outcome.error else "completed"
    return msgspec.json.encode({"source": outcome.source, "status": status, **found}) + b"\n"


def _header() -> bytes:
    return _csv([["source", *CSV_COLUMNS]])


def _rows(outcome: Outcome) -> bytes:
    """Return an item's segments as rows of CSV; of one that failed there are none."""
    if outcome.analysis is None:
        return b""
    source = csv_text(outcome.source)
    return _csv([[source, *row] for row in csv_rows(outcome.analysis)])


def _csv(rows: list[list[str | int | float | None]]) -> bytes:
    sink = io.StringIO()
    csv.writer(sink, lineterminator="\n").writerows(rows)
    return sink.getvalue().encode()
