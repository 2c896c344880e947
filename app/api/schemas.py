"""What goes in and out over HTTP, for validation and for the OpenAPI document.

The schema of a result is not here: it is generated from :class:`ml.results.Analysis` in
:mod:`app.api.result_schema`, so that types and document cannot differ.
"""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from app.api.options import Options, Strict
from app.jobs import JobStatus
from ml.export import FORMATS

URL_PATTERN = (
    r"^[Hh][Tt][Tt][Pp][Ss]?://(\[[0-9A-Fa-f:.]+\]|[^\s\x00-\x20\x7f/?#@:\\\[\]\"<>^`{|}%]+)(:[0-9]{1,5})?"
    r"([/?#][^\s\x00-\x20\x7f]*)?$(?!\n)"
)
"""http or https in any case, a host, no credentials, no blanks; in the regular expressions
that Python and ECMA-262 share, which have no flag for the case."""
URL_LENGTH = 2048
_PAGE_SIZE = 1000
_CURSOR_LENGTH = 200


def _options() -> fields.Field[Any]:
    return fields.Nested(Options, load_default=dict, metadata={"description": "All optional."})


class UrlSubmission(Strict):
    """A recording behind a link."""

    url = fields.String(
        required=True,
        validate=[
            validate.Length(max=URL_LENGTH),
            validate.Regexp(URL_PATTERN, error="Must be an http or https address."),
        ],
        metadata={
            "description": "A YouTube link, or any public link to audio or video.",
            "examples": ["https://www.youtube.com/watch?v=dQw4w9WgXcQ"],
        },
    )
    options = _options()


class TextSubmission(Strict):
    """Text, of one or more sentences."""

    text = fields.String(
        required=True,
        metadata={
            "description": "English. Its greatest length is `source.max_characters`.",
            "pattern": r"[^\s\x00]",
            "examples": ["I can't believe it worked! Thank you so much."],
        },
    )
    options = _options()


class JobErrorSchema(ma.Schema):
    """Why a job failed."""

    code = fields.String(required=True)
    message = fields.String(required=True)
    hint = fields.String(required=True)


class JobLinks(ma.Schema):
    """Where to go from here. The others are there while they make sense."""

    self = fields.String(required=True)
    result = fields.String()
    audio = fields.String(metadata={"description": "The recording with redacted words silent."})
    cancel = fields.String()


class JobSchema(ma.Schema):
    """A job as it stands."""

    id = fields.UUID(required=True)
    status = fields.Enum(JobStatus, by_value=True, required=True)
    kind = fields.String(required=True, validate=validate.OneOf(["url", "upload", "text"]))
    title = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Name of the uploaded file, the link, or the text's start."},
    )
    stage = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "The stage that runs or ran last; null while queued."},
    )
    progress = fields.Float(
        required=True, validate=validate.Range(0, 1), metadata={"description": "Never decreases."}
    )
    detail = fields.String(
        required=True, metadata={"description": "A few words on the progress: `12 of 60 s`."}
    )
    options = fields.Nested(Options, required=True)
    error = fields.Nested(JobErrorSchema, required=True, allow_none=True)
    created_at = fields.AwareDateTime(required=True)
    started_at = fields.AwareDateTime(required=True, allow_none=True)
    finished_at = fields.AwareDateTime(required=True, allow_none=True)
    links = fields.Nested(JobLinks, required=True)


class JobQuery(Strict):
    """Which jobs to list."""

    status = fields.Enum(JobStatus, by_value=True, load_default=None)
    cursor = fields.String(
        load_default=None,
        validate=validate.Length(max=_CURSOR_LENGTH),
        metadata={"description": "Where to go on: taken from `links.next`, not made up."},
    )
    limit = fields.Integer(
        load_default=None,
        validate=validate.Range(1, _PAGE_SIZE),
        metadata={"description": "Jobs a page, at most; the service may give fewer."},
    )


class PageLinks(ma.Schema):
    """Where the list goes on; `next` is null on the last page."""

    self = fields.String(required=True)
    next = fields.String(required=True, allow_none=True)


class JobPage(ma.Schema):
    """Some jobs, newest first."""

    jobs = fields.List(fields.Nested(JobSchema), required=True)
    links = fields.Nested(PageLinks, required=True)


class ResultQuery(Strict):
    """In which format to return the result."""

    format = fields.String(load_default="json", validate=validate.OneOf(FORMATS))


class PreferHeader(ma.Schema):
    """RFC 7240: how long the client would like to wait."""

    class Meta:
        """Requests carry other headers too."""

        unknown = ma.EXCLUDE

    prefer = fields.String(
        data_key="Prefer",
        load_default="",
        metadata={
            "description": "`wait=N`: wait N seconds for the result, within the service's "
            "bounds. What cannot be read is ignored, as RFC 7240 asks.",
            "examples": ["wait=5"],
        },
    )


class Health(ma.Schema):
    """The process answers."""

    status = fields.String(required=True, validate=validate.Equal("ok"))


class FieldProblem(ma.Schema):
    """What is wrong with one field."""

    field = fields.String(required=True)
    message = fields.String(required=True)


class Problem(ma.Schema):
    """An RFC 9457 problem document."""

    type = fields.String(required=True, metadata={"format": "uri"})
    title = fields.String(required=True)
    status = fields.Integer(required=True, validate=validate.Range(400, 599))
    detail = fields.String(required=True)
    code = fields.String(required=True, metadata={"description": "Stable: what programs match on."})
    hint = fields.String(required=True, metadata={"description": "What to do about it."})
    errors = fields.List(fields.Nested(FieldProblem))
