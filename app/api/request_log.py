"""One log line, one measurement and one identifier for each request."""

from __future__ import annotations

import logging
import re
import time
import uuid

import structlog
from flask import Flask, Response, g, request

from app.api.metrics import RequestMetrics

HEADER = "X-Request-ID"
_SANE = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LONGEST_PATH = 200
_PROBES = frozenset({"/health", "/health/ready", "/metrics"})
"""What machines ask every few seconds; logged at level debug alone."""

log = structlog.get_logger(__name__)


def register(app: Flask, metrics: RequestMetrics) -> None:
    """Give each request of ``app`` an identifier, log it and measure it."""

    def begin() -> None:
        g.began = time.perf_counter()
        given = request.headers.get(HEADER, "")
        g.request_id = given if _SANE.fullmatch(given) else uuid.uuid4().hex
        structlog.contextvars.bind_contextvars(request_id=g.request_id)

    def end(response: Response) -> Response:
        seconds = time.perf_counter() - g.began
        route = request.url_rule.rule if request.url_rule else None
        metrics.observe(request.method, route, response.status_code, seconds)
        response.headers[HEADER] = g.request_id
        log.log(
            logging.DEBUG if route in _PROBES else logging.INFO,
            "request",
            method=request.method[:10],
            # The path without the query: queries may hold what people look for.
            path=request.path[:_LONGEST_PATH],
            route=route,
            status=response.status_code,
            bytes=response.content_length,
            ms=round(seconds * 1000, 1),
        )
        return response

    def forget(error: BaseException | None) -> None:
        structlog.contextvars.unbind_contextvars("request_id")

    app.before_request(begin)
    app.after_request(end)
    app.teardown_request(forget)
