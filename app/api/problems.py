"""Every error as an RFC 9457 problem document, whoever raised it.

Nothing internal leaks: the text of an unexpected exception goes to the log, and the client
gets ``internal``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import structlog
from flask import Flask, Response, json
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from app.api.errors import (
    FieldErrors,
    RequestError,
    RequestHeadersTooLarge,
    RequestInvalid,
    RequestMalformed,
    RequestMethodNotAllowed,
    RequestNotFound,
    RequestTooLarge,
    RequestUnsupportedMediaType,
    ServiceNotReady,
    ServiceUnavailable,
)
from ml.errors import EmotionClfError, OptionInvalid

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 5
"""What a client is told to wait where nothing is known of how long it takes."""
_HINT_ON_OPTIONS = "See /docs for the options and their allowed values."

_BY_STATUS: Mapping[int, type[RequestError]] = {
    400: RequestMalformed,
    404: RequestNotFound,
    405: RequestMethodNotAllowed,
    413: RequestTooLarge,
    415: RequestUnsupportedMediaType,
    431: RequestHeadersTooLarge,
}
log = structlog.get_logger(__name__)


def problem_document(error: EmotionClfError) -> dict[str, Any]:
    """Return the members of the problem document of ``error``."""
    # The hint of this one speaks of the command line.
    on_options = isinstance(error, OptionInvalid) and error.advice == OptionInvalid.hint
    document = {
        "type": f"urn:emotion-clf:problem:{error.code}",
        "title": error.message,
        "status": error.http_status,
        "detail": error.text,
        "code": error.code,
        "hint": _HINT_ON_OPTIONS if on_options else error.advice,
    }
    if errors := getattr(error, "errors", None):
        document["errors"] = list(errors)
    return document


def problem_response(error: EmotionClfError) -> Response:
    """Return ``error`` as a response."""
    document = json.dumps(problem_document(error))
    response = Response(document, error.http_status, content_type=MEDIA_TYPE)
    seconds = getattr(error, "retry_seconds", RETRY_SECONDS if error.http_status == 503 else None)
    if seconds is not None:
        response.headers["Retry-After"] = str(max(1, math.ceil(seconds)))
    return response


def field_errors(messages: Any, prefix: str = "") -> FieldErrors:
    """Flatten marshmallow's nested messages into one entry a message.

    The location that webargs puts around them (``json``, ``query``) is not part of a
    field's name: the caller passes what is inside of it.
    """
    if isinstance(messages, Mapping):
        found: list[Mapping[str, str]] = []
        for key, inner in messages.items():
            name = prefix if key == "_schema" else f"{prefix}.{key}".lstrip(".")
            found.extend(field_errors(inner, name))
        return found
    if isinstance(messages, list):
        return [entry for message in messages for entry in field_errors(message, prefix)]
    return [{"field": prefix, "message": str(messages)}]


def from_http_exception(error: HTTPException) -> Response:
    """Turn what werkzeug, webargs or flask-smorest raised into a problem response."""
    if error.code is None or error.code < 400:
        # Redirects are exceptions to werkzeug.
        return Response(status=error.code, headers=error.get_response().headers)
    response = problem_response(_typed(error))
    for name, value in error.get_headers():
        # `Allow` and its like belong to the status.
        if name.lower() not in {"content-type", "content-length"}:
            response.headers[name] = value
    return response


def _typed(error: HTTPException) -> EmotionClfError:
    messages = (getattr(error, "data", None) or {}).get("messages")
    if messages is not None:
        return RequestInvalid([e for inner in messages.values() for e in field_errors(inner)])
    if isinstance(error, RequestEntityTooLarge):
        return RequestTooLarge()
    known = _BY_STATUS.get(error.code or 0)
    if known is not None:
        return known()
    return RequestMalformed() if (error.code or 500) < 500 else EmotionClfError(hint=_REPORT)


_REPORT = "Please report it with the X-Request-ID of this answer."


def _from_typed(error: EmotionClfError) -> Response:
    # Whoever asks for readiness asks every second, and is told.
    if error.http_status >= 500 and not isinstance(error, ServiceNotReady):
        log.warning("request_failed", code=error.code, detail=error.text)
    return problem_response(error)


def _from_database(error: Exception) -> Response:
    log.error("database_unreachable", error=type(error).__name__)
    return problem_response(ServiceUnavailable())


def _from_unexpected(error: Exception) -> Response:
    log.exception("unexpected_error", exc_info=error)
    return problem_response(EmotionClfError(hint=_REPORT))


def register(app: Flask) -> None:
    """Answer every exception that leaves a view of ``app`` with a problem document."""
    app.register_error_handler(HTTPException, from_http_exception)
    app.register_error_handler(EmotionClfError, _from_typed)
    for unreachable in (OperationalError, InterfaceError, PoolTimeout):
        app.register_error_handler(unreachable, _from_database)
    app.register_error_handler(Exception, _from_unexpected)
