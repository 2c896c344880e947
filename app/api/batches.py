"""``/batches``: submit many links and texts at once, follow them as one, fetch their results."""

from __future__ import annotations

import uuid
from typing import Any

import marshmallow as ma
import msgspec
from flask import Response, request, url_for
from flask.views import MethodView
from flask_smorest import Blueprint

from app.api.batch_schemas import BatchPageSchema, BatchSchema, BatchSubmission
from app.api.batch_submissions import submit_batch
from app.api.identifiers import parsed_uuid
from app.api.identity import current_owner
from app.api.schemas import PageQuery
from app.api.services import services
from app.api.spec import LOCATION, fails_with
from app.errors import BatchNotFound
from app.jobs import Batch

blueprint = Blueprint("batches", __name__, description="Many recordings and texts as one")

JSON_LINES = "application/jsonl"
_BODY = {"required": True, "content": {"application/json": {"schema": BatchSubmission}}}
_BATCH_ID = {
    "in": "path",
    "name": "batch_id",
    "required": True,
    "schema": {"type": "string", "format": "uuid"},
}


def _parsed(batch_id: str) -> uuid.UUID:
    try:
        return parsed_uuid(batch_id)
    except ValueError:
        raise BatchNotFound from None


def _shown(batch: Batch) -> dict[str, Any]:
    """Return what :class:`app.api.batch_schemas.BatchSchema` shows of a batch."""
    here = url_for("batches.BatchById", batch_id=batch.id)
    links = {
        "self": here,
        "jobs": url_for("jobs.Jobs", batch=batch.id),
        "results": url_for("batches.ResultsOfBatch", batch_id=batch.id),
    }
    return {
        "id": batch.id,
        "title": batch.title,
        "total": batch.total,
        "counts": {status.value: count for status, count in batch.counts.items()},
        "progress": batch.progress,
        "finished": batch.finished,
        "created_at": batch.created_at,
        "links": links if batch.finished else links | {"cancel": here},
    }


@blueprint.route("/batches")
class Batches(MethodView):
    """All batches of one owner."""

    @blueprint.doc(operationId="submitBatch", requestBody=_BODY)
    @fails_with(blueprint, 400, 413, 415, 422, 503)
    @blueprint.response(202, BatchSchema, description="Accepted", headers=LOCATION)
    def post(self) -> tuple[dict[str, Any], int, dict[str, str]]:
        """Submit up to 1,000 links and texts: all of them, or none.

        Each becomes a job of its own. Follow the batch at `Location`.
        """
        shown = _shown(submit_batch(request))
        return shown, 202, {"Location": shown["links"]["self"]}

    @blueprint.doc(operationId="listBatches")
    @blueprint.arguments(PageQuery, location="query", unknown=ma.RAISE)
    @fails_with(blueprint, 422, 503)
    @blueprint.response(200, BatchPageSchema)
    def get(self, query: dict[str, Any]) -> dict[str, Any]:
        """List batches, newest first."""
        limits = services().settings.api
        size = min(query["limit"] or limits.page_size, limits.max_page_size)
        page = services().batches.list(current_owner(), query["cursor"], size)
        here = {"limit": query["limit"]}
        following = page.next_cursor and url_for("batches.Batches", **here, cursor=page.next_cursor)
        return {
            "batches": [_shown(batch) for batch in page.batches],
            "links": {
                "self": url_for("batches.Batches", **here, cursor=query["cursor"]),
                "next": following,
            },
        }


@blueprint.route("/batches/<batch_id>", parameters=[_BATCH_ID])
class BatchById(MethodView):
    """One batch."""

    @blueprint.doc(operationId="getBatch")
    @fails_with(blueprint, 404, 503)
    @blueprint.response(200, BatchSchema)
    def get(self, batch_id: str) -> dict[str, Any]:
        """Return a batch as it stands: how many of its jobs are in which state."""
        return _shown(services().batches.get(_parsed(batch_id), current_owner()))

    @blueprint.doc(operationId="cancelBatch")
    @fails_with(blueprint, 404, 503)
    @blueprint.response(200, BatchSchema)
    def delete(self, batch_id: str) -> dict[str, Any]:
        """Cancel the jobs of a batch that wait or run.

        Those that have ended stay as they are; cancelling twice is no error.
        """
        return _shown(services().batches.cancel(_parsed(batch_id), current_owner()))


@blueprint.route("/batches/<batch_id>/results", parameters=[_BATCH_ID])
class ResultsOfBatch(MethodView):
    """What the jobs of a batch found."""

    @blueprint.doc(operationId="getBatchResults")
    @fails_with(blueprint, 404, 503)
    @blueprint.response(200, {"type": "string"}, content_type=JSON_LINES)
    def get(self, batch_id: str) -> Response:
        """Return what became of each job, as JSON Lines in the order of the items.

        Each line holds `index`, `job`, `title`, `status`, the `result` of a completed job and
        the `error` where there is and will be no result. What has not ended has neither.
        """
        found = services().batches.results(_parsed(batch_id), current_owner())
        lines = (msgspec.json.encode(item) + b"\n" for item in found)
        response = Response(lines, content_type=JSON_LINES)
        response.headers["Content-Disposition"] = f'attachment; filename="{batch_id}.jsonl"'
        return response
