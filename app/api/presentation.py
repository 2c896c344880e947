"""How jobs look from outside."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from flask import url_for

from app.api.options import OPTIONS
from app.api.services import services
from app.jobs import JOB_TRANSITIONS, Delivery, Job, JobStatus, terminal

ENDED = terminal(JOB_TRANSITIONS)


def job_path(job: Job) -> str:
    """Return the address of a job, without the host."""
    return url_for("jobs.JobById", job_id=job.id)


def shown_job(job: Job) -> dict[str, Any]:
    """Return what :class:`app.api.schemas.JobSchema` shows of a job."""
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
        "deliveries": [delivery] if delivery else [],
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "links": _links(job),
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
