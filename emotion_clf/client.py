"""A client of the HTTP API: submit, follow, fetch."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from ml.errors import Cancelled, EmotionClfError, ServiceError, catalogue
from ml.results import Analysis

_TIMEOUT = 30.0


class Client:
    """Talks to one service."""

    def __init__(self, base: str) -> None:
        self._base = base.rstrip("/")
        self._session = requests.Session()
        # A proxy of the environment cannot reach this machine's loopback address.
        self._session.trust_env = False

    def ready(self) -> bool:
        """Return whether the service says that it can take jobs."""
        try:
            return self._session.get(f"{self._base}/health/ready", timeout=5).ok
        except requests.RequestException:
            return False

    def submit_file(self, path: Path) -> str:
        """Upload a recording; return the job's id."""
        with path.open("rb") as recording:
            reply = self._call("POST", "/jobs", files={"file": (path.name, recording)})
        return str(reply["id"])

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
        try:
            reply = self._session.request(method, self._base + path, timeout=_TIMEOUT, **arguments)
            document: dict[str, Any] = reply.json()
        except requests.JSONDecodeError as error:
            raise ServiceError(
                f"{self._base} answered with {reply.status_code}, not JSON."
            ) from error
        except requests.RequestException as error:
            raise ServiceError(f"{self._base} does not answer.") from error
        if not reply.ok:
            raise _error(document.get("detail"), document)
        return document


def _error(message: str | None, problem: dict[str, Any]) -> EmotionClfError:
    """Return the error that the service gave, under the same code."""
    kind = catalogue().get(problem.get("code", ""), ServiceError)
    return kind(message, hint=problem.get("hint"))
