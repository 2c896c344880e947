"""What a request to the endpoint may look like, and what is read from it.

Two shapes carry texts: ``{"texts": ["…", …]}``, and Azure ML's own for MLflow models, a table under
``input_data`` with one column named ``text`` or with any one column. Beside either,
``params`` may hold what :meth:`emotion_clf.EmotionPredictor.predict` takes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast, get_args

from emotion_clf import EmotionClfError

MAX_BYTES = 1024 * 1024
"""Largest body; Azure has a limit of its own above."""
MAX_TEXTS = 1000
"""Most texts of one request: slow processors shall be done before Azure gives up."""
MAX_CHARACTERS = 10_000
"""Longest text."""

OtherLanguages = Literal["refuse", "mark", "ignore"]


class RequestError(EmotionClfError):
    """The request itself is wrong; the codes are those of the HTTP API."""

    hint = "The endpoint's README shows what may be sent."


class Malformed(RequestError):
    """The body is no JSON object."""

    code = "request.malformed"
    http_status: ClassVar[int] = 400
    message = "The body is not a JSON object."


class Invalid(RequestError):
    """The JSON says something that is not understood."""

    code = "request.invalid"
    http_status: ClassVar[int] = 422
    message = "The request is not understood."


class TooLarge(RequestError):
    """More than one request may hold."""

    code = "request.too_large"
    http_status: ClassVar[int] = 413
    message = f"The body is larger than {MAX_BYTES} bytes."
    hint = "Send the texts in several requests."


@dataclass(frozen=True, slots=True)
class Payload:
    """The texts of one request, and how to read them."""

    texts: tuple[str, ...]
    in_order: bool = False
    """Whether they are consecutive sentences of one conversation."""
    other_languages: OtherLanguages = "refuse"
    """What happens to a text that is not English."""


def read(body: bytes) -> Payload:
    """Return what a request asks for; raise a :class:`RequestError` that never quotes a text."""
    if len(body) > MAX_BYTES:
        raise TooLarge
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        raise Malformed from None
    if not isinstance(request, dict):
        raise Malformed
    unknown = sorted(set(request) - {"texts", "input_data", "params"})
    if unknown:
        raise Invalid(f"Unknown members: {len(unknown)}; known are texts, input_data and params.")
    if ("texts" in request) == ("input_data" in request):
        raise Invalid("Send either texts or input_data.")
    found = request["texts"] if "texts" in request else _column(request["input_data"])
    return Payload(_checked(found), **_params(request.get("params", {})))


def _column(table: object) -> object:
    """Return the column of texts of Azure ML's ``input_data``."""
    if isinstance(table, list):
        return [_only(row) for row in table]
    if not isinstance(table, dict) or "data" not in table:
        raise Invalid("input_data is neither a list nor a table with data.")
    columns, rows = table.get("columns", ["text"]), table["data"]
    if not isinstance(columns, list) or not isinstance(rows, list):
        raise Invalid("input_data.columns and input_data.data are lists.")
    if len(columns) != 1 and "text" not in columns:
        raise Invalid("input_data.columns names no column text.")
    at = columns.index("text") if "text" in columns else 0
    return [_cell(row, at, len(columns)) for row in rows]


def _only(row: object) -> object:
    """Return the text of a row that is a text, a list of one, or a record."""
    if isinstance(row, Mapping):
        if "text" not in row:
            raise Invalid("A record of input_data has no text.")
        return row["text"]
    return _cell(row, 0, 1)


def _cell(row: object, at: int, width: int) -> object:
    if isinstance(row, list):
        if len(row) != width:
            raise Invalid("A row of input_data.data is not as long as input_data.columns.")
        return row[at]
    if width != 1:
        raise Invalid("A row of input_data.data is no list.")
    return row


def _checked(texts: object) -> tuple[str, ...]:
    if not isinstance(texts, Sequence) or isinstance(texts, str):
        raise Invalid("texts is no list of texts.")
    if not texts:
        raise Invalid("There is no text.")
    if len(texts) > MAX_TEXTS:
        raise TooLarge(f"There are {len(texts)} texts; at most {MAX_TEXTS} go into one request.")
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise Invalid(f"texts[{index}] is no text.")
        if len(text) > MAX_CHARACTERS:
            raise TooLarge(
                f"texts[{index}] has {len(text)} characters; at most {MAX_CHARACTERS} are read."
            )
    return tuple(texts)


def _params(given: object) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise Invalid("params is no object.")
    if set(given) - {"in_order", "other_languages"}:
        raise Invalid("params may hold in_order and other_languages.")
    if not isinstance(given.get("in_order", False), bool):
        raise Invalid("params.in_order is true or false.")
    if given.get("other_languages", "refuse") not in get_args(OtherLanguages):
        raise Invalid(f"params.other_languages is one of {', '.join(get_args(OtherLanguages))}.")
    return cast(dict[str, Any], given)
