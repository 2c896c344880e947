"""One log line, one measurement, one span and one identifier for each request."""

from __future__ import annotations

import logging
import re
import time
import uuid
from contextlib import ExitStack

import structlog
from flask import Flask, Response, g, request

from app.api.metrics import RequestMetrics
from app.tracing import TRACEPARENT, Span, span

HEADER = "X-Request-ID"
_SANE = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LONGEST_PATH = 200
_PROBES = frozenset({"/health", "/health/ready", "/metrics"})
"""What machines ask every few seconds; logged at level debug alone, and not traced."""

log = structlog.get_logger(__name__)


def register(app: Flask, metrics: RequestMetrics) -> None:
    """Give each request of ``app`` an identifier, log it, measure it and trace it."""

    def begin() -> None:
        g.began = time.perf_counter()
        given = request.headers.get(HEADER, "")
        g.request_id = given if _SANE.fullmatch(given) else uuid.uuid4().hex
        g.until_answered = ExitStack()
        g.until_answered.enter_context(
            structlog.contextvars.bound_contextvars(request_id=g.request_id)
        )
        g.until_answered.enter_context(metrics.in_flight())
        g.span = _traced(g.until_answered)

    def end(response: Response) -> Response:
        seconds = time.perf_counter() - g.began
        route = _route()
        metrics.observe(request.method, route, response.status_code, seconds)
        response.headers[HEADER] = g.request_id
        log.log(
            logging.DEBUG if route in _PROBES else logging.INFO,
            "request",
            method=request.method[:10],
            # The path without the query: queries may hold what people look for.
            path=request.path[:_LONGEST_PATH],
            route=route,
            client=identity.owner if (identity := g.get("identity")) else None,
            status=response.status_code,
            bytes=response.content_length,
            ms=round(seconds * 1000, 1),
        )
        _note(g.span, response.status_code)
        return response

    def forget(error: BaseException | None) -> None:
        if stack := g.pop("until_answered", None):
            stack.close()

    app.before_request(begin)
    app.after_request(end)
    app.teardown_request(forget)


def _route() -> str | None:
    return request.url_rule.rule if request.url_rule else None


def _traced(stack: ExitStack) -> Span:
    route = _route()
    if route in _PROBES:
        return Span()
    name = f"{request.method[:10]} {route}" if route else request.method[:10]
    return stack.enter_context(span(name, "server", request.headers.get(TRACEPARENT)))


def _note(traced: Span, status: int) -> None:
    traced.note(
        http__request__method=request.method[:10],
        http__route=_route() or "none",
        http__response__status_code=status,
        emotion_clf__request_id=g.request_id,
    )
    if status >= 500:
        traced.fail(str(status))
