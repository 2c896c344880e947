"""What a batch has asked a service for, so that a later run asks for nothing twice.

Each request is written down with its ``Idempotency-Key`` before it is sent: a run that died
over it sends the same again, and gets what it made.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import msgspec

from emotion_clf.batch.records import append, open_records, read_records


class Submission(msgspec.Struct):
    """One request: the upload of a file, or a batch of links."""

    sources: list[str]
    options: dict[str, Any]
    key: str = msgspec.field(default_factory=lambda: uuid.uuid4().hex)
    id: str | None = None
    """The job or the batch that it made, once the service has said so."""


class _Made(msgspec.Struct, frozen=True):
    """What a request made."""

    key: str
    id: str


class _Dropped(msgspec.Struct, frozen=True):
    """Sources whose requests do not count any more."""

    dropped: list[str]


class _Record(msgspec.Struct, omit_defaults=True):
    """One line of the file: it holds one of the three."""

    asked: Submission | None = None
    made: _Made | None = None
    dropped: _Dropped | None = None


class Submissions:
    """The requests of this run and of those before, by source."""

    def __init__(self, path: Path | None = None) -> None:
        """Read the file at ``path``, and write to it; without one nothing is remembered.

        Raises NotRecords and InUse (:mod:`emotion_clf.batch.records`), and OSError.
        """
        self._file: IO[bytes] | None = open_records(path) if path else None
        self._path = path
        self._by_key: dict[str, Submission] = {}
        self._by_source: dict[str, Submission] = {}
        if self._file:
            for _, record in read_records(self._file, _Record):
                self._apply(record)

    def of(self, sources: Collection[str]) -> Iterator[tuple[Submission, list[str]]]:
        """Yield the requests that some of the sources wait for, and which those are."""
        waiting: dict[str, list[str]] = {}
        for source in sources:
            if source in self._by_source:
                waiting.setdefault(self._by_source[source].key, []).append(source)
        for key, which in waiting.items():
            yield self._by_key[key], which

    def ask(self, sources: Sequence[str], options: Mapping[str, Any]) -> Submission:
        """Note a request that is about to be sent."""
        submission = Submission(list(sources), dict(options))
        self._note(_Record(asked=submission))
        return submission

    def made(self, submission: Submission, resource: str) -> None:
        """Note what a request made."""
        self._note(_Record(made=_Made(submission.key, resource)))

    def drop(self, sources: Collection[str]) -> None:
        """Note that the sources are to be asked for anew."""
        if sources:
            self._note(_Record(dropped=_Dropped(list(sources))))

    def forget(self) -> None:
        """Remove the file: everything has ended."""
        if self._path:
            self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let other runs have the file."""
        if self._file:
            self._file.close()

    def _note(self, record: _Record) -> None:
        if self._file:
            append(self._file, msgspec.json.encode(record) + b"\n")
        self._apply(record)

    def _apply(self, record: _Record) -> None:
        if record.asked:
            self._by_key[record.asked.key] = record.asked
            self._by_source |= dict.fromkeys(record.asked.sources, record.asked)
        if record.made:
            self._by_key[record.made.key].id = record.made.id
        if record.dropped:
            for source in record.dropped.dropped:
                self._by_source.pop(source, None)
