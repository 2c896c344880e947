"""How jobs end: each ending is one guarded update, with all that follows in its transaction.

Locks are taken in the order job, then step.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, case, func, insert, literal, select, update

from app.jobs import JOB_TRANSITIONS, STEP_TRANSITIONS, JobError, JobStatus, StepState, before
from app.models import DeliveryRow, JobRow, StepRow


def lock_job(connection: Connection, job_id: UUID) -> JobStatus | None:
    """Lock a job's row until the transaction ends; return its status, None if it was erased."""
    query = select(JobRow.status).where(JobRow.id == job_id).with_for_update()
    status = connection.execute(query).scalar_one_or_none()
    return JobStatus(status) if status else None


def end_job(connection: Connection, job_id: UUID, status: JobStatus, **values: Any) -> bool:
    """End a job if it may end so; return whether it did. Its report is due from now on."""
    ended = connection.execute(
        update(JobRow)
        .where(JobRow.id == job_id, JobRow.status.in_(before(JOB_TRANSITIONS, status)))
        .values(status=status, finished_at=func.now(), source=_kept_source(), **values)
    )
    if not ended.rowcount:
        return False
    report = select(func.gen_random_uuid(), JobRow.id, literal(f"job.{status}")).where(
        JobRow.id == job_id, JobRow.callback_url.is_not(None)
    )
    connection.execute(insert(DeliveryRow).from_select(["id", "job_id", "event"], report))
    return True


def fail_job(connection: Connection, job_id: UUID, error: JobError) -> None:
    """Fail a running job and cancel its idle steps; an ended job stays as it is."""
    end_job(connection, job_id, JobStatus.FAILED, error=asdict(error))
    cancel_idle_steps(connection, job_id)


def cancel_idle_steps(connection: Connection, job_id: UUID) -> None:
    """Cancel the steps of an ended job that nobody runs; the caller holds the job's lock.

    A running step stays running until its worker has stopped: that is the truth, and the
    worker's own acknowledgement ends it.
    """
    idle = set(before(STEP_TRANSITIONS, StepState.CANCELLED)) - {StepState.RUNNING}
    connection.execute(
        update(StepRow)
        .where(StepRow.job_id == job_id, StepRow.state.in_(idle))
        .values(state=StepState.CANCELLED, finished_at=func.now())
    )


def _kept_source() -> ColumnElement[str]:
    """Return what a job that ends keeps of its source: of a text nothing.

    What is worth keeping of it stands in the result, and what was redacted there must not
    stay here.
    """
    return case((JobRow.kind == "text", ""), else_=JobRow.source)
