"""Sources on their way through a service: asked for, worked on, ended."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from emotion_clf.batch.items import Failure, Outcome, Report
from emotion_clf.batch.submissions import Submission, Submissions
from emotion_clf.client import FULL, Client, Refused
from ml.errors import Cancelled, EmotionClfError

ENDED = ("completed", "failed", "cancelled")
_ANOTHER_DAY = "quota.audio"
_CHANGED = "request.key_reused"
_GONE = frozenset({"job.not_found", "job.expired", "batch.not_found"})


@dataclass(slots=True)
class Request:
    """Some sources that are asked for together."""

    sources: Sequence[str]
    """Those of them that have not ended."""
    submission: Submission | None = None
    """Once it is noted; it may name more sources, which have ended."""


@dataclass(slots=True)
class Sent:
    """A request that was sent."""

    submission: Submission
    id: str
    left: set[str]
    """The sources that have not ended."""
    seen: dict[str, int] = field(default_factory=dict)
    """How many had ended in which way when it was looked at last."""


class Lane(ABC):
    """Sources of one kind, of which only so many are under way at the same time."""

    most: int
    """Requests that are under way at the same time."""

    def __init__(
        self, client: Client, submissions: Submissions, options: Mapping[str, Any], report: Report
    ) -> None:
        self._client = client
        self._submissions = submissions
        self._options = options
        self._report = report
        self._waiting: deque[Request] = deque()
        self._sent: list[Sent] = []

    @property
    def busy(self) -> bool:
        """Whether some source has not ended."""
        return bool(self._waiting or self._sent)

    def add(self, request: Request) -> None:
        """Put a request behind those that wait."""
        self._waiting.append(request)

    def round(self) -> Iterator[Outcome]:
        """Send what fits, and yield what has ended since the last round.

        Raises the :class:`ml.errors.EmotionClfError` that is no single source's.
        """
        yield from self._send_what_fits()
        for sent in list(self._sent):
            for outcome in self._look(sent):
                sent.left.discard(outcome.source)
                yield outcome
            if not sent.left:
                self._sent.remove(sent)

    @abstractmethod
    def send(self, submission: Submission) -> str:
        """Send a request; return the identifier of what it made."""

    @abstractmethod
    def ended(self, sent: Sent) -> Iterator[Outcome]:
        """Yield what became of the sources that have ended."""

    @abstractmethod
    def at_fault(self, submission: Submission, error: EmotionClfError) -> Mapping[str, Failure]:
        """Return the sources that a request was refused for; none where it was for another."""

    def outcome(self, source: str, job: Mapping[str, Any]) -> Outcome:
        """Return what became of a source whose job has ended."""
        if job["status"] == "completed":
            try:
                return Outcome(source, self._client.result(job["id"]))
            except Refused as error:
                return Outcome(source, error=_of_what_is_gone(error))
        failure = Failure(**job["error"]) if job["error"] else Failure.of(Cancelled())
        return Outcome(source, error=failure)

    def _send_what_fits(self) -> Iterator[Outcome]:
        while self._waiting and len(self._sent) < self.most:
            request = self._waiting.popleft()
            submission = request.submission or self._submissions.ask(request.sources, self._options)
            try:
                made = submission.id or self.send(submission)
            except EmotionClfError as error:
                if _full(error):
                    self._later(Request(request.sources, submission))
                    return
                yield from self._without_those_at_fault(request.sources, submission, error)
            else:
                self._submissions.made(submission, made)
                self._sent.append(Sent(submission, made, set(request.sources)))

    def _later(self, request: Request) -> None:
        """Try a request again when something has ended, in halves: all of it may never fit."""
        count = len(request.sources)
        if count == 1:
            self._waiting.appendleft(request)
            return
        self._submissions.drop(request.sources)
        for half in (request.sources[count // 2 :], request.sources[: count // 2]):
            self._waiting.appendleft(Request(half))

    def _without_those_at_fault(
        self, sources: Sequence[str], submission: Submission, error: EmotionClfError
    ) -> Iterator[Outcome]:
        faults = self.at_fault(submission, error)
        if not faults and error.code != _CHANGED:
            raise error
        self._submissions.drop(sources)
        if rest := [source for source in sources if source not in faults]:
            self._waiting.appendleft(Request(rest))
        yield from (Outcome(s, error=faults[s]) for s in sources if s in faults)

    def _look(self, sent: Sent) -> Iterator[Outcome]:
        try:
            yield from self.ended(sent)
        except Refused as error:
            failure = _of_what_is_gone(error)
            yield from [Outcome(source, error=failure) for source in sent.left]


def _full(error: EmotionClfError) -> bool:
    return error.code in FULL and error.code != _ANOTHER_DAY


def _of_what_is_gone(error: Refused) -> Failure:
    """Return why a source gives nothing any more; raise what is no answer to that."""
    if error.code not in _GONE:
        raise error
    return Failure.of(error)
