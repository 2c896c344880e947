"""Pages of other origins that may read answers: none, unless an operator lists them.

Requests carry their token in a header, never in a cookie, so browsers are never told to send
credentials.
"""

from __future__ import annotations

from collections.abc import Sequence

from flask import Flask, Response, request
from werkzeug.datastructures import HeaderSet

from app.api import repeats, request_log

_METHODS = ("GET", "HEAD", "POST", "DELETE")
_SENT = (
    *("Authorization", "Content-Type", "Last-Event-ID", "Prefer"),
    *(repeats.HEADER, request_log.HEADER),
)
_READ = (
    *("Content-Disposition", "Location", "Preference-Applied"),
    *("RateLimit", "RateLimit-Policy", "Retry-After"),
    *(repeats.REPLAYED, request_log.HEADER),
)
_PREFLIGHT_SECONDS = 600


def register(app: Flask, origins: Sequence[str]) -> None:
    """Let pages of the listed origins read what ``app`` answers."""

    def allow(response: Response) -> Response:
        response.vary.add("Origin")
        origin = request.headers.get("Origin", "")
        if origin in origins:
            response.access_control_allow_origin = origin
            response.access_control_expose_headers = HeaderSet(_READ)
            if "Access-Control-Request-Method" in request.headers:
                response.access_control_allow_methods = HeaderSet(_METHODS)
                response.access_control_allow_headers = HeaderSet(_SENT)
                response.access_control_max_age = _PREFLIGHT_SECONDS
        return response

    if origins:
        app.after_request(allow)
