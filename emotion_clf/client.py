"""A client of the HTTP API: submit, follow, fetch."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import requests
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_delay,
    wait_random_exponential,
)

from emotion_clf.file_form import FileForm
from ml.errors import Cancelled, EmotionClfError, ServiceError, catalogue
from ml.results import Analysis

FULL = frozenset({"quota.jobs", "quota.audio", "queue.full"})
"""Codes of refusals that last until jobs have ended, or the day has."""

_TIMEOUT = 30.0
_PAGE = 100
_PASSING = frozenset({429, 502, 503, 504})
_WANTS_A_TOKEN = frozenset({401, 403})
_LONGEST_WAIT = 60.0
_BACK_OFF = wait_random_exponential(multiplier=0.5, max=15.0)


class Client:
    """Talks to one service; ``token`` is for one that asks who it talks to.

    For ``patience`` seconds a call is repeated that the service does not answer, or puts off
    (429, 502, 503, 504); what creates something then needs a key.
    """

    def __init__(self, base: str, token: str | None = None, *, patience: float = 0.0) -> None:
        self._base = base.rstrip("/")
        self._patience = patience
        self._session = requests.Session()
        # A proxy of the environment cannot reach this machine's loopback address.
        self._session.trust_env = False
        if token:
            self._session.headers["Authorization"] = f"Bearer {token}"

    def ready(self) -> bool:
        """Return whether the service says that it can take jobs."""
        try:
            return self._session.get(f"{self._base}/health/ready", timeout=5).ok
        except requests.RequestException:
            return False

    def submit_file(
        self, path: Path, options: Mapping[str, Any] | None = None, key: str | None = None
    ) -> str:
        """Upload a recording; return the job's id.

        Sent again with the same ``key`` it makes no second job.
        """
        fields = {"options": json.dumps(options)} if options else {}

        def send() -> dict[str, Any]:
            with path.open("rb") as recording:
                form = FileForm(recording, path.name, fields)
                headers = {"Content-Type": form.content_type, **_keyed(key)}
                return self._send("POST", "/jobs", data=form, headers=headers)

        return str(self._patiently(send)["id"])

    def submit_urls(
        self, urls: Sequence[str], options: Mapping[str, Any] | None = None, key: str | None = None
    ) -> str:
        """Submit up to 1,000 links as one batch; return the batch's id.

        Sent again with the same ``key`` it makes no second batch.
        """
        body = {"items": [{"url": url} for url in urls], "options": options or {}}
        return str(self._call("POST", "/batches", json=body, headers=_keyed(key))["id"])

    def batch(self, batch_id: str) -> dict[str, Any]:
        """Return the batch as it stands."""
        return self._call("GET", f"/batches/{batch_id}")

    def jobs_of(self, batch_id: str, status: str) -> Iterator[dict[str, Any]]:
        """Yield the jobs of a batch that are in one state."""
        address = f"/jobs?{urlencode({'batch': batch_id, 'status': status, 'limit': _PAGE})}"
        while address:
            page = self._call("GET", address)
            yield from page["jobs"]
            address = page["links"]["next"]

    def job(self, job_id: str) -> dict[str, Any]:
        """Return the job as it stands."""
        return self._call("GET", f"/jobs/{job_id}")

    def result(self, job_id: str) -> Analysis:
        """Return the result of a completed job."""
        return Analysis.from_dict(self._call("GET", f"/jobs/{job_id}/result"))

    def wait(
        self, job_id: str, report: Callable[[str, float, str], None], pause: float = 0.2
    ) -> Analysis:
        """Follow a job to its end; raise the error of one that gives no result."""
        while True:
            job = self.job(job_id)
            report(job["stage"] or job["status"], job["progress"], job.get("detail") or "")
            if job["status"] == "completed":
                return self.result(job_id)
            if job["status"] == "cancelled":
                raise Cancelled()
            if job["status"] == "failed":
                raise _error(job["error"]["message"], job["error"])
            time.sleep(pause)

    def _call(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        return self._patiently(lambda: self._send(method, path, **arguments))

    def _patiently(self, send: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        caller = Retrying(
            retry=retry_if_exception(_passes),
            wait=_as_asked,
            stop=stop_after_delay(self._patience),
            reraise=True,
        )
        return caller(send)

    def _send(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        try:
            reply = self._session.request(method, self._base + path, timeout=_TIMEOUT, **arguments)
            document: dict[str, Any] = reply.json()
        except requests.JSONDecodeError as error:
            raise NoAnswer(
                f"{self._base} answered with {reply.status_code}, not JSON.", reply.status_code
            ) from error
        except requests.RequestException as error:
            raise NoAnswer(f"{self._base} does not answer.") from error
        if not reply.ok:
            asked = reply.headers.get("Retry-After", "")
            wait = float(asked) if asked.isdecimal() else None
            raise _error(document.get("detail"), document, wait)
        return document


class NoAnswer(ServiceError):
    """Nothing came back that the API could have said."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        """What a proxy before the service said, if one did."""


class Refused(ServiceError):
    """The service refused, with an error that only services have."""

    def __init__(
        self, message: str | None, problem: Mapping[str, Any], retry_after: float | None = None
    ) -> None:
        wrong = [f"{entry['field']}: {entry['message']}" for entry in problem.get("errors", ())]
        super().__init__(" ".join([message or self.message, *wrong[:1]]), hint=problem.get("hint"))
        self.code = str(problem.get("code") or self.code)
        self.problem = problem
        """Its problem document (RFC 9457)."""
        self.retry_after = retry_after
        """Seconds after which it wants to be asked again, where it said so."""


class TokenRefused(Refused):
    """The service wants another token, or one at all."""

    exit_code = 77


def _error(
    message: str | None, problem: Mapping[str, Any], retry_after: float | None = None
) -> EmotionClfError:
    """Return the error that the service gave, under the same code where the pipeline has it."""
    kind = catalogue().get(problem.get("code", ""))
    if kind is not None:
        return kind(message, hint=problem.get("hint"))
    refused = TokenRefused if problem.get("status") in _WANTS_A_TOKEN else Refused
    return refused(message, problem, retry_after)


def _keyed(key: str | None) -> dict[str, str]:
    return {"Idempotency-Key": key} if key else {}


def _passes(error: BaseException) -> bool:
    """Whether the same call may succeed later, without any job having to end before."""
    if isinstance(error, NoAnswer):
        return error.status is None or error.status in _PASSING
    if not isinstance(error, Refused):
        return False
    return error.problem.get("status") in _PASSING and error.code not in FULL


def _as_asked(state: RetryCallState) -> float:
    """Return how long to wait: what the service asked for, or longer each time."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, Refused) and error.retry_after is not None:
        return min(error.retry_after, _LONGEST_WAIT)
    return float(_BACK_OFF(state))
