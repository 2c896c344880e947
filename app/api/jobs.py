"""``/jobs``: submit, list, follow and cancel jobs, and fetch their results."""

from __future__ import annotations

import uuid
from typing import Any

import marshmallow as ma
import structlog
from flask import Response, request, send_file, url_for
from flask.views import MethodView
from flask_smorest import Blueprint
from sqlalchemy.exc import SQLAlchemyError

from app.api.identifiers import parsed_uuid
from app.api.identity import current_owner
from app.api.options import Options
from app.api.presentation import json_response, shown_job, shown_jobs
from app.api.result_schema import ANALYSIS
from app.api.schemas import (
    CALLBACK_URL,
    JobDeletion,
    JobPage,
    JobQuery,
    JobSchema,
    ResultQuery,
    TextSubmission,
    UrlSubmission,
)
from app.api.services import services
from app.api.spec import LOCATION, fails_with
from app.api.submissions import submit_json, submit_upload
from app.errors import AudioNotFound, JobNotFound
from app.jobs import Job
from app.storage import store_of
from ml.artifacts import ArtifactMissing
from ml.export import MEDIA_TYPES, export
from ml.results import Analysis

blueprint = Blueprint("jobs", __name__, description="Recordings and texts being worked on")

log = structlog.get_logger(__name__)
_BODY = {
    "required": True,
    "content": {
        "application/json": {"schema": {"oneOf": [TextSubmission, UrlSubmission]}},
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "additionalProperties": False,
                "properties": {
                    "file": {"type": "string", "format": "binary", "minLength": 1},
                    "options": Options,
                    "callback_url": CALLBACK_URL,
                    "callback_result": {"type": "boolean"},
                },
            },
            "encoding": {
                "file": {"contentType": "application/octet-stream"},
                "options": {"contentType": "application/json"},
            },
        },
    },
}
JOB_ID = {
    "in": "path",
    "name": "job_id",
    "required": True,
    "schema": {"type": "string", "format": "uuid"},
}


def requested_job(job_id: str) -> Job:
    """Return the job of the current owner that an address names; raise JobNotFound."""
    return services().jobs.get(parsed_id(job_id), current_owner())


def parsed_id(job_id: str) -> uuid.UUID:
    """Return the identifier in an address; raise JobNotFound for what can be none."""
    try:
        return parsed_uuid(job_id)
    except ValueError:
        raise JobNotFound from None


def _erase(job_id: uuid.UUID) -> bool:
    """Erase a job of the current owner; return whether nothing is left, its files included."""
    owner, erasures = current_owner(), services().erasures
    artifacts = store_of(owner, services().artifacts)
    gone = erasures.erase(job_id, owner)
    log.info("job.erased", job=str(job_id))  # what a restored backup is compared with
    try:
        return gone and erasures.clear(owner, lambda _, key: artifacts.delete(key))
    except SQLAlchemyError:
        # The job is gone, whatever happens now: asking again would not find it.
        log.warning("erasure.left_to_janitor", job=str(job_id))
        return False


@blueprint.route("/jobs")
class Jobs(MethodView):
    """All jobs of one owner."""

    @blueprint.doc(operationId="submitJob", requestBody=_BODY)
    @fails_with(blueprint, 400, 413, 415, 422, 503)
    @blueprint.response(202, JobSchema, description="Accepted", headers=LOCATION)
    def post(self) -> Response:
        """Submit a link, a text or a recording.

        A link or a text comes as JSON, a recording as the `file` part of a form. Follow the
        job at `Location`.
        """
        job = submit_json(request) if request.is_json else submit_upload(request)
        shown = shown_job(job)
        return json_response(shown, 202, {"Location": shown["links"]["self"]})

    @blueprint.doc(operationId="listJobs")
    @blueprint.arguments(JobQuery, location="query", unknown=ma.RAISE)
    @fails_with(blueprint, 422, 503)
    @blueprint.response(200, JobPage)
    def get(self, query: dict[str, Any]) -> Response:
        """List jobs, newest first."""
        limits = services().settings.api
        size = min(query["limit"] or limits.page_size, limits.max_page_size)
        page = services().jobs.list(
            current_owner(), query["status"], query["cursor"], size, query["batch"]
        )
        here = {"status": query["status"], "batch": query["batch"], "limit": query["limit"]}
        following = page.next_cursor and url_for("jobs.Jobs", **here, cursor=page.next_cursor)
        links = {"self": url_for("jobs.Jobs", **here, cursor=query["cursor"]), "next": following}
        return json_response({"jobs": shown_jobs(page.jobs), "links": links})


@blueprint.route("/jobs/<job_id>", parameters=[JOB_ID])
class JobById(MethodView):
    """One job."""

    @blueprint.doc(operationId="getJob")
    @fails_with(blueprint, 404, 503)
    @blueprint.response(200, JobSchema)
    def get(self, job_id: str) -> Response:
        """Return a job as it stands."""
        return json_response(shown_job(requested_job(job_id)))

    @blueprint.doc(operationId="cancelJob")
    @blueprint.arguments(JobDeletion, location="query", unknown=ma.RAISE)
    @fails_with(blueprint, 404, 409, 422, 503)
    @blueprint.alt_response(204, description="Erased", success=True)
    @blueprint.alt_response(
        202, description="Erased as soon as a worker has stopped; gone from here", success=True
    )
    @blueprint.response(200, JobSchema)
    def delete(self, query: dict[str, Any], job_id: str) -> Response:
        """Cancel a job, also while it runs; or erase it with all that belongs to it.

        Cancelling twice is no error; a job that completed or failed cannot be cancelled.
        Any job can be erased, and does not exist from then on.
        """
        if query["erase"]:
            return Response(status=204 if _erase(parsed_id(job_id)) else 202)
        job = services().jobs.cancel(parsed_id(job_id), current_owner())
        return json_response(shown_job(job))


@blueprint.route("/jobs/<job_id>/audio", parameters=[JOB_ID])
class AudioOfJob(MethodView):
    """A completed job's recording, without what was redacted."""

    @blueprint.doc(operationId="getAudio")
    @fails_with(blueprint, 404, 409, 410, 503)
    @blueprint.response(200, {"type": "string", "format": "binary"}, content_type="audio/wav")
    def get(self, job_id: str) -> Response:
        """Return the recording with the redacted words silent, if the job asked for it."""
        result = services().jobs.result(parsed_id(job_id), current_owner())
        key = result.get("redacted_audio")
        if key is None:
            raise AudioNotFound
        try:
            audio = store_of(current_owner(), services().artifacts).open(key)
        except ArtifactMissing:
            raise AudioNotFound from None
        response = send_file(audio, mimetype="audio/wav", download_name=f"{job_id}.wav")
        response.headers["Cache-Control"] = "no-store"
        return response


@blueprint.route("/jobs/<job_id>/result", parameters=[JOB_ID])
class ResultOfJob(MethodView):
    """What a completed job found."""

    @blueprint.doc(operationId="getResult")
    @blueprint.arguments(ResultQuery, location="query", unknown=ma.RAISE)
    @fails_with(blueprint, 404, 409, 410, 422, 503)
    @blueprint.response(200, {"type": "string"}, content_type=MEDIA_TYPES["vtt"])
    @blueprint.response(200, {"type": "string"}, content_type=MEDIA_TYPES["srt"])
    @blueprint.response(200, {"type": "string"}, content_type=MEDIA_TYPES["csv"])
    @blueprint.response(200, ANALYSIS)
    def get(self, query: dict[str, Any], job_id: str) -> Response:
        """Return the result of a completed job in the format asked for."""
        result = services().jobs.result(parsed_id(job_id), current_owner())
        name = query["format"]
        if name == "json":
            return json_response(result)
        text = export(Analysis.from_dict(result), name)
        response = Response(text, content_type=f"{MEDIA_TYPES[name]}; charset=utf-8")
        response.headers["Content-Disposition"] = f'attachment; filename="{job_id}.{name}"'
        return response
