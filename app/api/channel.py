"""Connections to clients, bounded in time and in space while requests arrive.

waitress keeps a request until it is complete, however long that takes, and closes a connection
only when nothing at all happens on it. So a few clients that send a byte now and then would
hold every connection, and bodies under way could fill the disk.
"""

from __future__ import annotations

import copy
import socket
import time
from dataclasses import dataclass
from typing import Any

from flask import json
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.task import ErrorTask
from waitress.utilities import Error

from app.api.errors import (
    RequestHeadersTooLarge,
    RequestMalformed,
    RequestTimeout,
    RequestTooLarge,
    ServiceBusy,
)
from app.api.problems import MEDIA_TYPE, RETRY_SECONDS, problem_document
from app.api.uploads import FORM_TYPE
from ml.errors import EmotionClfError

_PEEK = socket.MSG_PEEK | socket.MSG_DONTWAIT
_TYPED: dict[int, type[EmotionClfError]] = {
    400: RequestMalformed,
    408: RequestTimeout,
    413: RequestTooLarge,
    431: RequestHeadersTooLarge,
    501: RequestMalformed,
    503: ServiceBusy,
}
_LOOKED_AT_EVERY = 1 << 18
"""Bytes of a body after which the space for all of them is looked at again."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long requests may take to arrive, and how much of them there may be at once."""

    plain_bytes: int
    """Longest body of anything but an upload."""
    arriving_bytes: int
    """Bodies of all requests that arrive or are worked on."""
    header_seconds: float = 20.0
    grace_seconds: float = 20.0
    """After this a body must have come at ``slowest`` bytes a second on average."""
    slowest: int = 4096
    unread_seconds: float = 60.0
    """How long a client may leave an answer lying without taking any of it."""


class _Late(Error):  # type: ignore[misc]  # waitress carries no types
    code = 408
    reason = "Request Timeout"


class _Full(Error):  # type: ignore[misc]
    code = 503
    reason = "Service Unavailable"


class _Parser(HTTPRequestParser):  # type: ignore[misc]
    """Lets large bodies in where recordings are uploaded, and nowhere else."""

    def __init__(self, adjustments: Any, for_plain_requests: Any) -> None:
        super().__init__(adjustments)
        self._for_plain_requests = for_plain_requests

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        if self.chunked and "CONTENT_LENGTH" in self.headers:
            # Somebody before or behind us may believe the other one (RFC 9112, section 6.1).
            raise ParsingError("Content-Length beside Transfer-Encoding")
        if self.body_rcv is not None and not self._is_upload():
            self.adj = self._for_plain_requests

    def _is_upload(self) -> bool:
        form = self.headers.get("CONTENT_TYPE", "").lower().startswith(FORM_TYPE)
        return bool(form and self.command == "POST" and self.path == "/jobs")


class _ProblemTask(ErrorTask):  # type: ignore[misc]
    """Answers requests that never reach the application, because they cannot be read."""

    def execute(self) -> None:
        error = self.request.error
        typed = _TYPED.get(error.code, RequestMalformed if error.code < 500 else EmotionClfError)
        document = problem_document(typed()) | {"status": error.code}
        body = json.dumps(document).encode()
        self.status = f"{error.code} {error.reason}"
        self.response_headers.append(("Content-Type", MEDIA_TYPE))
        if error.code == 503:
            self.response_headers.append(("Retry-After", str(RETRY_SECONDS)))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class Channel(HTTPChannel):  # type: ignore[misc]
    """One connection."""

    error_task_class = _ProblemTask
    bounds: Bounds
    """Set by the server, for all of its connections."""
    request: HTTPRequestParser | None

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        self._timed: HTTPRequestParser | None = None
        self._began = 0.0
        self._unread_since: float | None = None
        super().__init__(*arguments, **keywords)
        self._for_plain_requests = copy.copy(self.adj)
        self._for_plain_requests.max_request_body_size = self.bounds.plain_bytes + 1

    def parser_class(self, adjustments: Any) -> _Parser:
        """Return what reads the next request."""
        return _Parser(adjustments, self._for_plain_requests)

    def readable(self) -> bool:
        """Whether to read; asked at least once a second, so time is looked at here."""
        now = time.time()
        if self._is_unread(now):
            # waitress closes where it could write, which is what it cannot.
            self.handle_close()
            return False
        if self._is_late(now):
            self._refuse(_Late(""))
        return bool(super().readable())

    def received(self, data: bytes) -> bool:
        """Take in what came; refuse the request if that is more than there is space for."""
        before = _arrived(self.request)
        taken = bool(super().received(data))
        now = _arrived(self.request)
        if before // _LOOKED_AT_EVERY < now // _LOOKED_AT_EVERY and self._is_full():
            self._refuse(_Full(""))
        return taken

    def check_client_disconnected(self) -> bool:
        """Whether the client has hung up: ``waitress.client_disconnected`` of a request.

        While one is answered waitress reads nothing, and would notice at the second write.
        """
        try:
            return not self.connected or not self.socket.recv(1, _PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _is_unread(self, now: float) -> bool:
        if not self.total_outbufs_len:
            self._unread_since = None
            return False
        if self._unread_since is None:
            self._unread_since = now
        return bool(now - max(self._unread_since, self.last_activity) > self.bounds.unread_seconds)

    def _is_late(self, now: float) -> bool:
        request = self.request
        if request is not self._timed:
            self._timed, self._began = request, now
        if request is None:
            return False
        seconds = now - self._began
        if not request.headers_finished:
            return seconds > self.bounds.header_seconds
        due = (seconds - self.bounds.grace_seconds) * self.bounds.slowest
        return bool(request.body_bytes_received < due)

    def _is_full(self) -> bool:
        arrived = sum(
            _arrived(request)
            for channel in list(self.server.active_channels.values())
            for request in (channel.request, *channel.requests)
        )
        return arrived > self.bounds.arriving_bytes

    def _refuse(self, error: Error) -> None:
        """Answer what has come of a request with an error, and close the connection then."""
        with self.requests_lock:
            request, self.request = self.request, None
            if request is None:
                return
            if not request.headers_finished:
                request.parse_header(b"GET / HTTP/1.0\r\n")
            request.error, request.completed = error, True
            self.requests.append(request)
            if len(self.requests) == 1:
                self.server.add_task(self)


def _arrived(request: HTTPRequestParser | None) -> int:
    return request.body_bytes_received if request is not None else 0


def bounded_channel(bounds: Bounds) -> type[Channel]:
    """Return the class of connections that keep to ``bounds``."""
    return type("BoundedChannel", (Channel,), {"bounds": bounds})
