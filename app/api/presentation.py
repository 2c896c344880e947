"""How jobs look from outside.

:class:`app.api.schemas.JobSchema` says the same in the OpenAPI document, and a test holds both
together. It is not asked to write the answers: polls are most of what is asked of a service, and
it took longer than to read the job.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from flask import Response, url_for

from app.api.options import OPTIONS
from app.api.services import services
from app.jobs import JOB_TRANSITIONS, Delivery, Job, JobStatus, terminal

ENDED = terminal(JOB_TRANSITIONS)


def json_response(
    body: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return what a view shows as a response."""
    return Response(msgspec.json.encode(body), status, headers, content_type="application/json")


def job_path(job: Job) -> str:
    """Return the address of a job, without the host."""
    return url_for("jobs.JobById", job_id=job.id)


def shown_job(job: Job) -> dict[str, Any]:
    """Return what is shown of a job, to be written as JSON."""
    return shown_jobs([job])[0]


def shown_jobs(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    """Return what is shown of some jobs; at most one query for all of them."""
    reported = [job.id for job in jobs if job.callback_url and job.status in ENDED]
    deliveries = services().deliveries.of_jobs(reported) if reported else {}
    return [_shown(job, deliveries.get(job.id)) for job in jobs]


def _shown(job: Job, delivery: Delivery | None) -> dict[str, Any]:
    return {
        "id": job.id,
        "status": job.status,
        "kind": job.kind,
        "title": job.title or (job.source if job.kind == "url" else "") or None,
        "stage": job.stage,
        "progress": job.progress,
        "detail": job.detail,
        "options": _chosen(job.options),
        "error": job.error,
        "batch_id": job.batch_id,
        "batch_index": job.batch_index,
        "callback_url": job.callback_url and _without_query(job.callback_url),
        "deliveries": [_report(delivery)] if delivery else [],
        "created_at": job.created_at.isoformat(),
        "started_at": _moment(job.started_at),
        "finished_at": _moment(job.finished_at),
        "links": _links(job),
    }


def _moment(time: datetime | None) -> str | None:
    return time.isoformat() if time else None


def _report(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "event": delivery.event,
        "state": delivery.state,
        "attempts": delivery.attempts,
    }


def _without_query(url: str) -> str:
    """Return where a report goes, without what receivers know each other by."""
    # Not by urlsplit, which refuses addresses that are let in, such as of no IPv6 in brackets.
    return re.split("[?#]", url, maxsplit=1)[0]


def _chosen(sections: Mapping[str, Any]) -> dict[str, Any]:
    """Return a job's options under the names that clients know."""
    return {
        name: sections[rule.section][rule.key or name]
        for name, rule in OPTIONS.items()
        if (rule.key or name) in sections.get(rule.section, {})
    }


def _links(job: Job) -> dict[str, str]:
    links = {"self": job_path(job)}
    if job.status is JobStatus.COMPLETED and not job.expired:
        links["result"] = url_for("jobs.ResultOfJob", job_id=job.id)
        options = services().settings.pipeline_options(job.options)
        if options.privacy.redact_audio and job.kind != "text":
            links["audio"] = url_for("jobs.AudioOfJob", job_id=job.id)
    if job.status not in ENDED:
        links["cancel"] = links["self"]
    return links
