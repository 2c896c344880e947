"""``/jobs``: submit, list, follow and cancel jobs, and fetch their results."""

from __future__ import annotations

import uuid
from typing import Any

import marshmallow as ma
import msgspec
from flask import Response, request, send_file, url_for
from flask.views import MethodView
from flask_smorest import Blueprint

from app.api.identity import current_owner
from app.api.options import Options
from app.api.presentation import job_path, shown_job
from app.api.result_schema import ANALYSIS
from app.api.schemas import (
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
from ml.export import MEDIA_TYPES, export
from ml.results import Analysis

blueprint = Blueprint("jobs", __name__, description="Recordings and texts being worked on")

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
                },
            },
            "encoding": {
                "file": {"contentType": "application/octet-stream"},
                "options": {"contentType": "application/json"},
            },
        },
    },
}
_JOB_ID = {
    "in": "path",
    "name": "job_id",
    "required": True,
    "schema": {"type": "string", "format": "uuid"},
}


def _job(job_id: str) -> Job:
    return services().jobs.get(_parsed(job_id), current_owner())


def _parsed(job_id: str) -> uuid.UUID:
    try:
        return uuid.UUID(job_id)
    except ValueError:
        raise JobNotFound from None


@blueprint.route("/jobs")
class Jobs(MethodView):
    """All jobs of one owner."""

    @blueprint.doc(operationId="submitJob", requestBody=_BODY)
    @fails_with(blueprint, 400, 413, 415, 422, 503)
    @blueprint.response(202, JobSchema, description="Accepted", headers=LOCATION)
    def post(self) -> tuple[dict[str, Any], int, dict[str, str]]:
        """Submit a link, a text or a recording.

        A link or a text comes as JSON, a recording as the `file` part of a form. Follow the
        job at `Location`.
        """
        job = submit_json(request) if request.is_json else submit_upload(request)
        return shown_job(job), 202, {"Location": job_path(job)}

    @blueprint.doc(operationId="listJobs")
    @blueprint.arguments(JobQuery, location="query", unknown=ma.RAISE)
    @fails_with(blueprint, 422, 503)
    @blueprint.response(200, JobPage)
    def get(self, query: dict[str, Any]) -> dict[str, Any]:
        """List jobs, newest first."""
        limits = services().settings.api
        size = min(query["limit"] or limits.page_size, limits.max_page_size)
        page = services().jobs.list(current_owner(), query["status"], query["cursor"], size)
        here = {"status": query["status"], "limit": query["limit"]}
        following = page.next_cursor and url_for("jobs.Jobs", **here, cursor=page.next_cursor)
        return {
            "jobs": [shown_job(job) for job in page.jobs],
            "links": {
                "self": url_for("jobs.Jobs", **here, cursor=query["cursor"]),
                "next": following,
            },
        }


@blueprint.route("/jobs/<job_id>", parameters=[_JOB_ID])
class JobById(MethodView):
    """One job."""

    @blueprint.doc(operationId="getJob")
    @fails_with(blueprint, 404, 503)
    @blueprint.response(200, JobSchema)
    def get(self, job_id: str) -> dict[str, Any]:
        """Return a job as it stands."""
        return shown_job(_job(job_id))

    @blueprint.doc(operationId="cancelJob")
    @fails_with(blueprint, 404, 409, 503)
    @blueprint.response(200, JobSchema)
    def delete(self, job_id: str) -> dict[str, Any]:
        """Cancel a job, also while it runs.

        Cancelling twice is no error; a job that completed or failed cannot be cancelled.
        """
        return shown_job(services().jobs.cancel(_parsed(job_id), current_owner()))


@blueprint.route("/jobs/<job_id>/audio", parameters=[_JOB_ID])
class AudioOfJob(MethodView):
    """A completed job's recording, without what was redacted."""

    @blueprint.doc(operationId="getAudio")
    @fails_with(blueprint, 404, 409, 503)
    @blueprint.response(200, {"type": "string", "format": "binary"}, content_type="audio/wav")
    def get(self, job_id: str) -> Response:
        """Return the recording with the redacted words silent, if the job asked for it."""
        result = services().jobs.result(_parsed(job_id), current_owner())
        key = result.get("redacted_audio")
        if key is None or not services().artifacts.exists(key):
            raise AudioNotFound
        audio = services().artifacts.open(key)
        response = send_file(audio, mimetype="audio/wav", download_name=f"{job_id}.wav")
        response.headers["Cache-Control"] = "no-store"
        return response


@blueprint.route("/jobs/<job_id>/result", parameters=[_JOB_ID])
class ResultOfJob(MethodView):
    """What a completed job found."""

    @blueprint.doc(operationId="getResult")
    @blueprint.arguments(ResultQuery, location="query", unknown=ma.RAISE)
    @fails_with(blueprint, 404, 409, 422, 503)
    @blueprint.response(200, {"type": "string"}, content_type=MEDIA_TYPES["vtt"])
    @blueprint.response(200, {"type": "string"}, content_type=MEDIA_TYPES["srt"])
    @blueprint.response(200, {"type": "string"}, content_type=MEDIA_TYPES["csv"])
    @blueprint.response(200, ANALYSIS)
    def get(self, query: dict[str, Any], job_id: str) -> Response:
        """Return the result of a completed job in the format asked for."""
        result = services().jobs.result(_parsed(job_id), current_owner())
        name = query["format"]
        if name == "json":
            return Response(msgspec.json.encode(result), content_type=MEDIA_TYPES["json"])
        text = export(Analysis.from_dict(result), name)
        response = Response(text, content_type=f"{MEDIA_TYPES[name]}; charset=utf-8")
        response.headers["Content-Disposition"] = f'attachment; filename="{job_id}.{name}"'
        return response
