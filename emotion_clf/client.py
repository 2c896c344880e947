"""A client of the HTTP API: submit, follow, fetch."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from ml.errors import EmotionClfError, ServiceError
from ml.results import Analysis

_TIMEOUT = 30.0


class JobFailed(EmotionClfError):
    """The job ended without a result; ``problem_code`` is the code that the service gave."""

    code = "job.failed"
    exit_code = 65

    def __init__(self, problem: dict[str, Any]) -> None:
        self.problem_code = problem.get("code")
        super().__init__(problem.get("message"), hint=problem.get("hint"))


class Client:
    """Talks to one service."""

    def __init__(self, base: str) -> None:
        self._base = base.rstrip("/")
        self._session = requests.Session()

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
        """Follow a job to its end; raise :class:`JobFailed` where it gives no result."""
        while True:
            job = self.job(job_id)
            report(job["stage"] or job["status"], job["progress"], job.get("detail") or "")
            if job["status"] == "completed":
                return self.result(job_id)
            if job["status"] in ("failed", "cancelled"):
                raise JobFailed(job["error"] or {"message": f"The job was {job['status']}."})
            time.sleep(pause)

    def _call(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        try:
            reply = self._session.request(method, self._base + path, timeout=_TIMEOUT, **arguments)
        except requests.ConnectionError as error:
            raise ServiceError(f"{self._base} does not answer.") from error
        document: dict[str, Any] = reply.json()
        if not reply.ok:
            raise ServiceError(document.get("detail"), hint=document.get("hint"))
        return document
