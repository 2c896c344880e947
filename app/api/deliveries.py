"""``/jobs/{id}/redeliver``: the report on a job's end, sent again."""

from __future__ import annotations

from flask import Response
from flask.views import MethodView
from flask_smorest import Blueprint

from app.api.jobs import JOB_ID, requested_job
from app.api.presentation import json_response, shown_job
from app.api.schemas import JobSchema
from app.api.services import services
from app.api.spec import fails_with

blueprint = Blueprint("deliveries", __name__, description="Reports to callbacks")


@blueprint.route("/jobs/<job_id>/redeliver", parameters=[JOB_ID])
class Redeliver(MethodView):
    """Another go for a report that nobody took."""

    @blueprint.doc(operationId="redeliver")
    @fails_with(blueprint, 404, 409, 503)
    @blueprint.response(202, JobSchema, description="It is sent again")
    def post(self, job_id: str) -> Response:
        """Send a failed report to the job's `callback_url` again, under the same event id."""
        job = requested_job(job_id)
        services().deliveries.redeliver(job.id)
        return json_response(shown_job(job), 202)
