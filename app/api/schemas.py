"""What goes in and out over HTTP, for validation and for the OpenAPI document.

The schema of a result is not here: it is generated from :class:`ml.results.Analysis` in
:mod:`app.api.result_schema`, so that types and document cannot differ.
"""

from __future__ import annotations

import marshmallow as ma
from marshmallow import fields, validate

from app.api.options import Flag, Options, Strict
from app.jobs import DeliveryState, JobStatus
from app.stores.deliveries import DeliveryFailure
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


CALLBACK_URL = {"type": "string", "maxLength": URL_LENGTH, "pattern": URL_PATTERN}
"""``callback_url`` in a form, as OpenAPI describes it."""
_WEB_ADDRESS = (
    validate.Length(max=URL_LENGTH),
    validate.Regexp(URL_PATTERN, error="Must be an http or https address."),
)


class Submission(Strict):
    """What may come with everything that is submitted."""

    options = fields.Nested(Options, load_default=dict, metadata={"description": "All optional."})
    callback_url = fields.String(
        validate=_WEB_ADDRESS,
        metadata={
            "description": "Where to report the end of the job, with a signature. Not every "
            "installation does.",
            "examples": ["https://example.org/hooks/emotion"],
        },
    )
    callback_result = Flag(
        metadata={"description": "Whether the report carries the result; needs `callback_url`."}
    )


class UrlSubmission(Submission):
    """A recording behind a link."""

    url = fields.String(
        required=True,
        validate=_WEB_ADDRESS,
        metadata={
            "description": "A YouTube link, or any public link to audio or video.",
            "examples": ["https://www.youtube.com/watch?v=dQw4w9WgXcQ"],
        },
    )


class TextSubmission(Submission):
    """Text, of one or more sentences."""

    text = fields.String(
        required=True,
        metadata={
            "description": "English. Its greatest length is `source.max_characters`.",
            # What Python takes for white space, and regular expressions do not.
            "pattern": r"[^\s\x00\x1c-\x1f\x85]",
            "examples": ["I can't believe it worked! Thank you so much."],
        },
    )


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


class AttemptSchema(ma.Schema):
    """One attempt to deliver a report: it was answered with a `status`, or there is an `error`."""

    at = fields.String(required=True, metadata={"format": "date-time"})
    status = fields.Integer()
    error = fields.String(validate=validate.OneOf([failure.value for failure in DeliveryFailure]))
    ms = fields.Integer(required=True)


class DeliverySchema(ma.Schema):
    """The report on a job's end to its `callback_url`."""

    id = fields.UUID(required=True, metadata={"description": "The `Webhook-Id` of each attempt."})
    event = fields.String(required=True)
    state = fields.Enum(DeliveryState, by_value=True, required=True)
    attempts = fields.List(
        fields.Nested(AttemptSchema),
        required=True,
        metadata={"description": "The last 20, oldest first."},
    )


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
    batch_id = fields.UUID(required=True, allow_none=True)
    batch_index = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "Its place in the batch, from 0."},
    )
    callback_url = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Where its end is reported, without the query."},
    )
    deliveries = fields.List(
        fields.Nested(DeliverySchema),
        required=True,
        metadata={"description": "What became of that; empty until the job ends."},
    )
    created_at = fields.AwareDateTime(required=True)
    started_at = fields.AwareDateTime(required=True, allow_none=True)
    finished_at = fields.AwareDateTime(required=True, allow_none=True)
    links = fields.Nested(JobLinks, required=True)


class PageQuery(Strict):
    """Which page of a list to return."""

    cursor = fields.String(
        load_default=None,
        validate=validate.Length(max=_CURSOR_LENGTH),
        metadata={"description": "Where to go on: taken from `links.next`, not made up."},
    )
    limit = fields.Integer(
        load_default=None,
        validate=validate.Range(1, _PAGE_SIZE),
        metadata={"description": "Entries a page, at most; the service may give fewer."},
    )


class JobQuery(PageQuery):
    """Which jobs to list."""

    status = fields.Enum(JobStatus, by_value=True, load_default=None)
    batch = fields.UUID(load_default=None, metadata={"description": "Only the jobs of this batch."})


class JobDeletion(Strict):
    """Whether to cancel a job, or to erase it."""

    erase = fields.Boolean(
        truthy={"true"},
        falsy={"false"},
        load_default=False,
        metadata={"description": "Erase it: text, result, files and all that refers to it."},
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


class LastEventIdHeader(ma.Schema):
    """What a client that reconnects has seen."""

    class Meta:
        """Requests carry other headers too."""

        unknown = ma.EXCLUDE

    last_event_id = fields.String(
        data_key="Last-Event-ID",
        load_default="",
        metadata={"description": "`id` of the last event: what has not changed since is left out."},
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
