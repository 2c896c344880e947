"""A batch through a service: files are uploaded, links submitted together, results fetched."""

from __future__ import annotations

import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from emotion_clf.batch.items import Failure, Outcome, Report, is_address
from emotion_clf.batch.lane import ENDED, Lane, Request, Sent
from emotion_clf.batch.submissions import Submission, Submissions
from emotion_clf.client import Client, Refused
from ml.errors import EmotionClfError, InputError, MediaInvalid, SourceError, SourceNotFound

_BATCH_SIZE = 1000
"""Links that one request of the API takes."""
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 3.0
_SLOWING = 1.5


def analyse_through(
    client: Client,
    submissions: Submissions,
    sources: Sequence[str],
    options: Mapping[str, Any],
    report: Report,
) -> Iterator[Outcome]:
    """Yield what becomes of each source, as soon as it is known.

    ``options`` are those of ``POST /jobs``. Raises the :class:`ml.errors.EmotionClfError` that
    is no single source's: a token that is refused, a service that does not answer, a day's
    quota that is used up.
    """
    links = Links(client, submissions, options, report)
    files = Files(client, submissions, options, report)
    for request in _requests(submissions, sources):
        (links if is_address(request.sources[0]) else files).add(request)
    pause = _FIRST_PAUSE
    while links.busy or files.busy:
        found = False
        for lane in (links, files):
            for outcome in lane.round():
                found = True
                yield outcome
                if outcome.error:
                    # Whoever tries it again wants another job.
                    submissions.drop([outcome.source])
        pause = _FIRST_PAUSE if found else min(pause * _SLOWING, _LONGEST_PAUSE)
        if links.busy or files.busy:
            time.sleep(pause)
    submissions.forget()


class Files(Lane):
    """Files of this machine, each an upload of its own."""

    most = 8

    def send(self, submission: Submission) -> str:
        """Upload a file; return its job's id."""
        (source,) = submission.sources
        _check(Path(source))
        self._report(source, "upload", 0.0, "")
        return self._client.submit_file(Path(source), submission.options, submission.key)

    def ended(self, sent: Sent) -> Iterator[Outcome]:
        """Yield what became of the file, once its job has ended."""
        (source,) = sent.submission.sources
        job = self._client.job(sent.id)
        self._report(source, job["stage"] or job["status"], job["progress"], job["detail"])
        if job["status"] in ENDED:
            yield self.outcome(source, job)

    def at_fault(self, submission: Submission, error: EmotionClfError) -> Mapping[str, Failure]:
        """Return the file, where it cannot be read or is no recording."""
        own = isinstance(error, (InputError, SourceError))
        return dict.fromkeys(submission.sources, Failure.of(error)) if own else {}


class Links(Lane):
    """Links, up to 1,000 in one batch of the service."""

    most = 2

    def send(self, submission: Submission) -> str:
        """Submit links; return their batch's id."""
        return self._client.submit_urls(submission.sources, submission.options, submission.key)

    def ended(self, sent: Sent) -> Iterator[Outcome]:
        """Yield what became of the links whose jobs have ended since the last look."""
        batch = self._client.batch(sent.id)
        counts = {status: batch["counts"][status] for status in ENDED}
        open_jobs = batch["counts"]["queued"] + batch["counts"]["running"]
        self._report(f"{open_jobs} links", "at work on", batch["progress"], "")
        for status in ENDED:
            if counts[status] > sent.seen.get(status, 0):
                for job in self._client.jobs_of(sent.id, status):
                    source = sent.submission.sources[job["batch_index"]]
                    if source in sent.left:
                        yield self.outcome(source, job)
        sent.seen = counts
        if batch["finished"]:
            # Somebody has erased their jobs.
            yield from [Outcome(source, error=_ERASED) for source in sent.left]

    def at_fault(self, submission: Submission, error: EmotionClfError) -> Mapping[str, Failure]:
        """Return the links that the service does not take as such."""
        if not isinstance(error, Refused) or error.code != "request.invalid":
            return {}
        faults = {}
        for entry in error.problem.get("errors", ()):
            place, _, name = entry["field"].removeprefix("items.").partition(".")
            if entry["field"].startswith("items.") and place.isdecimal() and name == "url":
                failure = Failure(error.code, entry["message"], "Check the link.")
                faults[submission.sources[int(place)]] = failure
        return faults


_ERASED = Failure("job.not_found", "The job was erased before its result was fetched.", "")


def _requests(submissions: Submissions, sources: Sequence[str]) -> Iterator[Request]:
    """Yield the requests of earlier runs that sources still wait for, then new ones."""
    known = set()
    for submission, left in submissions.of(sources):
        known.update(left)
        yield Request(left, submission)
    new = [source for source in sources if source not in known]
    links = [source for source in new if is_address(source)]
    yield from (
        Request(links[start : start + _BATCH_SIZE]) for start in range(0, len(links), _BATCH_SIZE)
    )
    yield from (Request([source]) for source in new if not is_address(source))


def _check(path: Path) -> None:
    """Raise what the pipeline would say of a file that cannot be uploaded."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise MediaInvalid("That is not a regular file.")
        path.open("rb").close()
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        raise SourceNotFound(
            "The file does not exist or cannot be read.", hint="Check the path."
        ) from error
