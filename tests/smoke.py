"""Ask a running service for what its users ask for: python tests/smoke.py URL [RECORDING].

A client's id and secret come from SMOKE_CLIENT_ID and SMOKE_CLIENT_SECRET; without them the
service must be one that asks for none. It waits until the service is up, takes a token, sees
that nothing is given without one, submits a text, and a recording if there is one, waits for the
results, looks at what they say, and erases all that it has made. SMOKE_SECONDS, 300 if unset, is
how long everything may take.

It needs nothing but Python. Exit status: 0 all is well, 1 something is not, 2 wrong usage.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import time
import uuid
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

TEXT = "We won! Thank you all so much. But I am afraid of what comes tomorrow."
EMOTIONS = ["happiness", "happiness", "fear"]
PAUSE = 0.5


class Wrong(Exception):
    """What the service did that it should not do."""


class Service:
    """One service, asked for as long as there is time."""

    def __init__(self, address: str, seconds: float) -> None:
        self._address = address.rstrip("/")
        self._deadline = time.monotonic() + seconds
        self._headers: dict[str, str] = {}

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, Any]:
        """Return status and JSON of an answer, whatever it says."""
        sent = self._headers | {name.replace("_", "-"): text for name, text in headers.items()}
        request = Request(self._address + path, body, sent, method=method)
        try:
            with urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except HTTPError as refusal:
            return refusal.code, _document(refusal.read())
        except (OSError, HTTPException, ValueError) as error:
            raise Wrong(f"{method} {path}: {error}") from error

    def wants(
        self,
        status: HTTPStatus,
        method: str,
        path: str,
        body: bytes | None = None,
        **headers: str,
    ) -> Any:
        """Return the JSON of an answer that must have this status."""
        got, document = self.ask(method, path, body, **headers)
        if got != status:
            raise Wrong(f"{method} {path}: {got} instead of {status.value}: {document}")
        return document

    def wait_until_ready(self) -> None:
        """Return when nothing is missing but workers: some start only once something waits."""
        said: object = "nothing"
        while self._has_time():
            try:
                status, said = self.ask("GET", "/health/ready")
            except Wrong as error:
                said = error
            else:
                if status == HTTPStatus.OK or _lacks_only_workers(said):
                    return
        raise Wrong(f"It did not get ready: {said}")

    def sign_in(self, client: str, secret: str) -> None:
        """Take a token, after seeing that the service lets nobody in without one."""
        self.wants(HTTPStatus.UNAUTHORIZED, "GET", "/jobs")
        basic = base64.b64encode(f"{client}:{secret}".encode()).decode()
        token = self.wants(
            HTTPStatus.OK,
            "POST",
            "/auth/token",
            b"grant_type=client_credentials",
            Authorization=f"Basic {basic}",
            Content_Type="application/x-www-form-urlencoded",
        )["access_token"]
        self._headers["Authorization"] = f"Bearer {token}"

    def submit(self, body: bytes, content_type: str) -> str:
        """Submit twice under one key, which must make one job; return its id."""
        headers = {"Content_Type": content_type, "Idempotency_Key": str(uuid.uuid4())}
        first, second = (
            str(self.wants(HTTPStatus.ACCEPTED, "POST", "/jobs", body, **headers)["id"])
            for _ in range(2)
        )
        if first != second:
            raise Wrong(f"One request sent twice made the jobs {first} and {second}.")
        return first

    def result(self, job_id: str) -> dict[str, Any]:
        """Wait for a job, and return its result."""
        job: dict[str, Any] = {}
        while self._has_time():
            job = self.wants(HTTPStatus.OK, "GET", f"/jobs/{job_id}")
            if job["status"] not in {"queued", "running"}:
                break
        if job.get("status") != "completed":
            raise Wrong(f"Job {job_id}: {job.get('status')} {job.get('stage')} {job.get('error')}")
        result: dict[str, Any] = self.wants(HTTPStatus.OK, "GET", f"/jobs/{job_id}/result")
        return result

    def _has_time(self) -> bool:
        time.sleep(PAUSE)
        return time.monotonic() < self._deadline


def _document(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")


def _lacks_only_workers(answer: Any) -> bool:
    missing = answer.get("errors", []) if isinstance(answer, dict) else []
    return bool(missing) and all(entry["field"].startswith("workers.") for entry in missing)


def form(recording: Path) -> tuple[bytes, str]:
    """Return a form with a recording as its file, and the form's type."""
    boundary = uuid.uuid4().hex
    head = f'Content-Disposition: form-data; name="file"; filename="{recording.name}"'
    body = f"--{boundary}\r\n{head}\r\n\r\n".encode() + recording.read_bytes()
    return body + f"\r\n--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def check(service: Service, recording: Path | None) -> None:
    """Have a text and a recording analysed, look at the results, and leave nothing."""
    jobs = [service.submit(json.dumps({"text": TEXT}).encode(), "application/json")]
    try:
        if recording:
            jobs.append(service.submit(*form(recording)))
        read, *heard = [service.result(job)["segments"] for job in jobs]
        if [segment["emotion"] for segment in read] != EMOTIONS:
            raise Wrong(f"The text was read as {read}")
        for segments in heard:
            if not segments or any(not s["text"] or s["end"] <= s["start"] for s in segments):
                raise Wrong(f"The recording was heard as {segments}")
    finally:
        for job in jobs:
            service.ask("DELETE", f"/jobs/{job}?erase=true")
    for job in jobs:
        service.wants(HTTPStatus.NOT_FOUND, "GET", f"/jobs/{job}")


def main(arguments: list[str]) -> int:
    """Check one service; return the exit status."""
    if len(arguments) not in {1, 2} or not arguments[0].startswith(("http://", "https://")):
        sys.stderr.write(__doc__ or "")
        return 2
    recording = Path(arguments[1]) if arguments[1:] else None
    began = time.monotonic()
    service = Service(arguments[0], float(os.environ.get("SMOKE_SECONDS", "300")))
    try:
        service.wait_until_ready()
        if client := os.environ.get("SMOKE_CLIENT_ID"):
            service.sign_in(client, os.environ.get("SMOKE_CLIENT_SECRET", ""))
        check(service, recording)
    except Wrong as reason:
        sys.stderr.write(f"{reason}\n")
        return 1
    sys.stdout.write(f"{arguments[0]} works; seen in {time.monotonic() - began:.1f} s.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
