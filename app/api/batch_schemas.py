"""What goes in and out of ``/batches``, for validation and for the OpenAPI document."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from app.api.options import Strict
from app.api.schemas import PageLinks, Submission, TextSubmission, UrlSubmission
from app.jobs import JobStatus
from app.stores.batches import MAX_ITEMS

LABEL_LENGTH = 200


def _label(description: str) -> fields.Field[Any]:
    return fields.String(
        validate=validate.Length(1, LABEL_LENGTH), metadata={"description": description}
    )


class Label(Strict):
    """What a client calls an item."""

    id = _label("Your own name for it, which becomes the title of its job.")


class BatchUrl(UrlSubmission, Label):
    """A link among the items of a batch."""


class BatchText(TextSubmission, Label):
    """A text among the items of a batch."""


class Items(fields.List[Any]):
    """The items of a batch; each is looked at by itself, so that all that is wrong is named."""

    def __init__(self) -> None:
        super().__init__(fields.Raw, required=True, validate=validate.Length(1, MAX_ITEMS))


def items_schema(converter: Any, field: fields.Field[Any], **_: Any) -> dict[str, Any]:
    """Return what OpenAPI says of the members of :class:`Items`; nothing for other fields."""
    if not isinstance(field, Items):
        return {}
    kinds = [converter.resolve_nested_schema(kind) for kind in (BatchText, BatchUrl)]
    return {"items": {"oneOf": kinds}}


class BatchSubmission(Submission):
    """Up to 1,000 links and texts, and what holds for those that do not say otherwise."""

    title = _label("What to call the batch.")
    items = Items()


class BatchLinks(ma.Schema):
    """Where to go from here; `cancel` is there while there is something to cancel."""

    self = fields.String(required=True)
    jobs = fields.String(required=True)
    results = fields.String(required=True)
    cancel = fields.String()


BatchCounts = ma.Schema.from_dict(
    {status.value: fields.Integer(required=True) for status in JobStatus}, name="BatchCounts"
)


class BatchSchema(ma.Schema):
    """A batch as it stands."""

    id = fields.UUID(required=True)
    title = fields.String(required=True, allow_none=True)
    total = fields.Integer(
        required=True, metadata={"description": "Jobs that were submitted; some may be erased."}
    )
    counts = fields.Nested(BatchCounts, required=True)
    progress = fields.Float(
        required=True,
        validate=validate.Range(0, 1),
        metadata={"description": "Mean of the jobs; what has ended counts as done."},
    )
    finished = fields.Boolean(
        required=True, metadata={"description": "Whether no job waits or runs."}
    )
    created_at = fields.AwareDateTime(required=True)
    links = fields.Nested(BatchLinks, required=True)


class BatchPageSchema(ma.Schema):
    """Some batches, newest first."""

    batches = fields.List(fields.Nested(BatchSchema), required=True)
    links = fields.Nested(PageLinks, required=True)
