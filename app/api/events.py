"""``/jobs/{id}/events``: a job's progress as server-sent events (HTML standard, section 9.2).

A stream holds a thread. So it ends after ``api.max_wait_seconds``, and where no thread is to be
spared after its first event: clients reconnect by themselves, and thereby poll.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from flask import Response, json, request, stream_with_context
from flask.views import MethodView
from flask_smorest import Blueprint
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.api.identity import current_identity
from app.api.jobs import JOB_ID, requested_job
from app.api.presentation import ENDED, shown_job
from app.api.schemas import LastEventIdHeader
from app.api.services import services
from app.api.spec import fails_with
from app.errors import JobNotFound
from app.jobs import Job

blueprint = Blueprint("events", __name__, description="Jobs as they go on")

MEDIA_TYPE = "text/event-stream"
_END = "end"
_HEARTBEAT_SECONDS = 15.0
"""Proxies close connections over which nothing comes, many after a minute."""
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 1.0
_SLOWING = 1.5
_RETRY_MS = 1000
_RETRY_WHEN_FULL_MS = 5000
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_DESCRIPTION = """\
Events `progress` with `status`, `stage`, `progress` and `detail`, whenever they change, and at
last `end` with the job. A stream may end before its job does: then connect again, and send the
last `id` as `Last-Event-ID`.
"""


@dataclass(frozen=True, slots=True)
class Event:
    """What is said of a job at one moment."""

    name: str
    id: str
    """Tells what the client knows; made from the data, so that any process can compare."""
    data: str

    @classmethod
    def of(cls, job: Job) -> Event:
        """Return the event that says how the job stands."""
        if job.status in ENDED:
            return cls(_END, _END, msgspec.json.encode(shown_job(job)).decode())
        data = json.dumps(
            {
                "status": job.status,
                "stage": job.stage,
                "progress": job.progress,
                "detail": job.detail,
            }
        )
        return cls("progress", hashlib.blake2s(data.encode(), digest_size=8).hexdigest(), data)

    def __str__(self) -> str:
        return f"event: {self.name}\nid: {self.id}\ndata: {self.data}\n\n"


_EVENT = {
    "type": "object",
    "description": "One event of the stream.",
    "required": ["event", "id", "data"],
    "properties": {
        "event": {"type": "string", "enum": ["progress", _END]},
        "id": {"type": "string"},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
}
"""An event as OpenAPI 3.2 describes the items of a stream; 3.1 leaves it open."""


@blueprint.route("/jobs/<job_id>/events", parameters=[JOB_ID])
class EventsOfJob(MethodView):
    """A job as it goes on."""

    @blueprint.doc(operationId="followJob")
    @blueprint.arguments(LastEventIdHeader, location="headers")
    @fails_with(blueprint, 404, 422, 503)
    @blueprint.alt_response(
        204, description="The end was sent before: there is nothing to wait for", success=True
    )
    @blueprint.response(200, _EVENT, content_type=MEDIA_TYPE, description=_DESCRIPTION)
    def get(self, headers: dict[str, Any], job_id: str) -> Response:
        """Follow a job's progress as server-sent events, until it ends."""
        job = requested_job(job_id)
        event, seen = Event.of(job), headers["last_event_id"]
        if event.name == _END and seen == _END:
            return Response(status=204)
        stream = () if request.method == "HEAD" else stream_with_context(_stream(job, event, seen))
        return Response(stream, content_type=MEDIA_TYPE, headers=_HEADERS)


def _stream(job: Job, event: Event, seen: str) -> Iterator[str]:
    """Yield what a client is sent, who has ``seen`` an event; at first how the job stands."""
    granted = services().waiting.acquire(blocking=False)
    try:
        yield f"retry: {_RETRY_MS if granted else _RETRY_WHEN_FULL_MS}\n\n"
        # An erased job ends the stream, and is not found when the client asks again.
        with suppress(JobNotFound):
            yield from _changes(job, event, seen, _seconds() if granted else 0.0)
    finally:
        if granted:
            services().waiting.release()


def _changes(job: Job, event: Event, seen: str, seconds: float) -> Iterator[str]:
    deadline = time.monotonic() + seconds
    pause, spoke = _FIRST_PAUSE, time.monotonic()
    while True:
        if event.id != seen:
            yield str(event)
            seen, pause, spoke = event.id, _FIRST_PAUSE, time.monotonic()
        elif time.monotonic() - spoke > _HEARTBEAT_SECONDS:
            yield ":\n\n"
            spoke = time.monotonic()
        left = deadline - time.monotonic()
        if event.name == _END or left <= 0 or _is_gone():
            return
        if services().stopping.wait(min(pause, left)):
            return
        pause = min(pause * _SLOWING, _LONGEST_PAUSE)
        # A database that restarts is waited for.
        with suppress(OperationalError, InterfaceError, PoolTimeout):
            event = Event.of(services().jobs.get(job.id, job.owner))


def _seconds() -> float:
    """Return how long a stream may last: no longer than the token is good that asked for it."""
    longest = services().settings.api.max_wait_seconds
    expires_at = current_identity().expires_at
    if expires_at is None:
        return longest
    return min(longest, (expires_at - datetime.now(UTC)).total_seconds())


def _is_gone() -> bool:
    """Whether the client has hung up. Behind servers that cannot tell, the next event does."""
    tell = request.environ.get("waitress.client_disconnected")
    return tell is not None and bool(tell())
