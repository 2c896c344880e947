"""The ``Idempotency-Key`` header: requests that may be sent again without doing more."""

from __future__ import annotations

import re
from typing import Any

from apispec import BasePlugin
from flask import Response, after_this_request, request

from app.api.errors import RequestInvalid
from app.jobs import Repeatable
from ml.artifacts import digest

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
_PATTERN = r"^[!-~]{1,255}$"
_PARAMETER = {
    "in": "header",
    "name": HEADER,
    "required": False,
    "description": (
        "Any name that you give this request, such as a random UUID. Sent again with the same "
        f"body it makes nothing new: the answer is what it made before, with `{REPLAYED}: true`."
    ),
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": _PATTERN},
}
"""The header as OpenAPI describes it."""


_REPEATABLE = frozenset({"POST /jobs", "POST /batches", "POST /predict"})
"""The operations that read it."""


def repeatable(body: Any) -> Repeatable | None:
    """Return what makes the current request repeatable; None where it has no key.

    It is known by its address and its body as JSON values, so order and white space in a JSON
    body do not matter. Raises :class:`app.api.errors.RequestInvalid` for a key that is too long
    or holds anything but visible ASCII characters.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not re.fullmatch(_PATTERN, key):
        message = "Must be 1 to 255 visible ASCII characters."
        raise RequestInvalid([{"field": HEADER, "message": message}])
    return Repeatable(key, digest(request.method, request.path, body))


def answer_as_replay() -> None:
    """Let the answer to the current request say that it has made nothing new."""

    @after_this_request
    def mark(response: Response) -> Response:
        response.headers[REPLAYED] = "true"
        return response


class RepeatPlugin(BasePlugin):
    """Writes the header into the OpenAPI document."""

    def operation_helper(
        self,
        path: str | None = None,
        operations: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Add it to each operation of a path that reads it."""
        for method, operation in (operations or {}).items():
            if f"{method.upper()} {path}" in _REPEATABLE:
                operation.setdefault("parameters", []).append(_PARAMETER)
