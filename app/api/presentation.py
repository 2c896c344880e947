"""How jobs look from outside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import url_for

from app.api.options import OPTIONS
from app.api.services import services
from app.jobs import JOB_TRANSITIONS, Job, JobStatus, terminal

ENDED = terminal(JOB_TRANSITIONS)


def job_path(job: Job) -> str:
    """Return the address of a job, without the host."""
    return url_for("jobs.JobById", job_id=job.id)


def shown_job(job: Job) -> dict[str, Any]:
    """Return what :class:`app.api.schemas.JobSchema` shows of a job."""
    return {
        "id": job.id,
        "status": job.status,
        "kind": job.kind,
        "title": job.title or (job.source if job.kind == "url" else None),
        "stage": job.stage,
        "progress": job.progress,
        "detail": job.detail,
        "options": _chosen(job.options),
        "error": job.error,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "links": _links(job),
    }


def _chosen(sections: Mapping[str, Any]) -> dict[str, Any]:
    """Return a job's options under the names that clients know."""
    return {
        name: sections[rule.section][rule.key or name]
        for name, rule in OPTIONS.items()
        if (rule.key or name) in sections.get(rule.section, {})
    }


def _links(job: Job) -> dict[str, str]:
    links = {"self": job_path(job)}
    if job.status is JobStatus.COMPLETED:
        links["result"] = url_for("jobs.ResultOfJob", job_id=job.id)
        options = services().settings.pipeline_options(job.options)
        if options.privacy.redact_audio and job.kind != "text":
            links["audio"] = url_for("jobs.AudioOfJob", job_id=job.id)
    if job.status not in ENDED:
        links["cancel"] = links["self"]
    return links
