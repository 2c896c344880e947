"""``/predict``: a job whose result is worth waiting for."""

from __future__ import annotations

import time
from typing import Any

from flask import Response, request
from flask.views import MethodView
from flask_smorest import Blueprint

from app.api.identity import current_owner
from app.api.preferences import preferred_wait
from app.api.presentation import ENDED, json_response, shown_job
from app.api.result_schema import ANALYSIS
from app.api.schemas import JobSchema, PreferHeader, TextSubmission, UrlSubmission
from app.api.services import Services, services
from app.api.spec import LOCATION, PREFERENCE_APPLIED, fails_with
from app.api.submissions import submit_json
from app.jobs import Job, JobError, JobStatus
from ml.errors import EmotionClfError, catalogue

blueprint = Blueprint("predict", __name__, description="A result in one request")

_BODY = {
    "required": True,
    "content": {"application/json": {"schema": {"oneOf": [TextSubmission, UrlSubmission]}}},
}
_FIRST_PAUSE = 0.01
_LONGEST_PAUSE = 0.25
_SLOWING = 1.5


@blueprint.route("/predict")
class Predict(MethodView):
    """A job and its result."""

    @blueprint.doc(operationId="predict", requestBody=_BODY)
    @blueprint.arguments(PreferHeader, location="headers")
    @fails_with(blueprint, 400, 409, 413, 415, 422, 503)
    @blueprint.alt_response(
        202,
        schema=JobSchema,
        description="It takes longer: follow the job at `Location`",
        headers=LOCATION | PREFERENCE_APPLIED,
        success=True,
    )
    @blueprint.response(200, ANALYSIS, headers=PREFERENCE_APPLIED)
    def post(self, headers: dict[str, Any]) -> Response:
        """Submit a link or a text and wait for its result.

        `Prefer: wait=N` says how many seconds to wait. A job that fails meanwhile is
        answered with its error.
        """
        wanted = preferred_wait(headers["prefer"])
        limits = services().settings.api
        seconds = limits.wait_seconds if wanted is None else min(wanted, limits.max_wait_seconds)
        job, granted = _awaited(services(), submit_json(request), seconds)
        response = _answer(job)
        if wanted is not None:
            response.headers["Preference-Applied"] = f"wait={granted:g}"
        return response


def _awaited(services: Services, job: Job, seconds: float) -> tuple[Job, float]:
    """Return the job as it stands when it ends or the time is over, and the time granted.

    Too many waiting requests would leave no thread for the others, so the surplus does not
    wait at all.
    """
    if not services.waiting.acquire(blocking=False):
        return job, 0.0
    try:
        deadline = time.monotonic() + seconds
        pause = _FIRST_PAUSE
        while job.status not in ENDED and (left := deadline - time.monotonic()) > 0:
            if services.stopping.wait(min(pause, left)):
                break
            pause = min(pause * _SLOWING, _LONGEST_PAUSE)
            job = services.jobs.get(job.id, job.owner)
        return job, seconds
    finally:
        services.waiting.release()


def _answer(job: Job) -> Response:
    if job.status is JobStatus.FAILED and job.error is not None:
        raise _typed(job.error)
    if job.status in ENDED:
        result = services().jobs.result(job.id, current_owner())
        return json_response(result)
    shown = shown_job(job)
    return json_response(shown, 202, {"Location": shown["links"]["self"]})


def _typed(error: JobError) -> EmotionClfError:
    known = catalogue().get(error.code, EmotionClfError)
    return known(error.message, hint=error.hint)
