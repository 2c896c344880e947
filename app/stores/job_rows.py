"""Jobs as they stand in their table, and as :class:`app.jobs.Job`."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, func

from app.jobs import SHOWN_SOURCE, Job, JobError, JobStatus
from app.models import JobRow

JOB = (
    JobRow.id,
    JobRow.owner,
    JobRow.kind,
    func.left(JobRow.source, SHOWN_SOURCE).label("source"),
    JobRow.title,
    JobRow.options,
    JobRow.status,
    JobRow.stage,
    JobRow.progress,
    JobRow.detail,
    JobRow.error,
    JobRow.batch_id,
    JobRow.batch_index,
    JobRow.callback_url,
    JobRow.audio_seconds,
    JobRow.expired,
    JobRow.created_at,
    JobRow.started_at,
    JobRow.finished_at,
)
"""The columns that make a job, to be selected or returned."""


def job_of(row: Row[Any]) -> Job:
    """Return the job in a row that has the columns :data:`JOB`."""
    values = row._asdict()
    values["status"] = JobStatus(values["status"])
    values["error"] = JobError(**values["error"]) if values["error"] else None
    return Job(**values)
