"""How jobs end: each ending is one guarded update, with all that follows in its transaction.

Locks are taken in the order job, then step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, case, func, insert, literal, select, update

from app.jobs import JOB_TRANSITIONS, STEP_TRANSITIONS, JobError, JobStatus, StepState, before
from app.models import DeliveryRow, JobRow, StepRow


def lock_job(connection: Connection, job_id: UUID) -> JobStatus | None:
    """Lock a job's row until the transaction ends; return its status, None if it was erased."""
    query = select(JobRow.status, JobRow.erasing).where(JobRow.id == job_id).with_for_update()
    row = connection.execute(query).one_or_none()
    return None if row is None or row.erasing else JobStatus(row.status)


def end_job(connection: Connection, job_id: UUID, status: JobStatus, **values: Any) -> bool:
    """End a job if it may end so; return whether it did. Its report is due from now on."""
    return bool(end_jobs(connection, [job_id], status, **values))


def end_jobs(
    connection: Connection, job_ids: Sequence[UUID], status: JobStatus, **values: Any
) -> Sequence[UUID]:
    """End those of the jobs that may end so, and return them; their reports are due from now on.

    Whoever ends several has locked them before, in the order of their ids.
    """
    ended = connection.execute(
        update(JobRow)
        .where(JobRow.id.in_(job_ids), JobRow.status.in_(before(JOB_TRANSITIONS, status)))
        .values(status=status, finished_at=func.now(), source=_kept_source(), **values)
        .returning(JobRow.id)
    )
    found = ended.scalars().all()
    if found:
        report = select(func.gen_random_uuid(), JobRow.id, literal(f"job.{status}")).where(
            JobRow.id.in_(found), JobRow.callback_url.is_not(None)
        )
        connection.execute(insert(DeliveryRow).from_select(["id", "job_id", "event"], report))
    return found


def fail_job(connection: Connection, job_id: UUID, error: JobError) -> None:
    """Fail a running job and cancel its idle steps; an ended job stays as it is."""
    end_job(connection, job_id, JobStatus.FAILED, error=asdict(error))
    cancel_idle_steps(connection, job_id)


def cancel_idle_steps(connection: Connection, *job_ids: UUID) -> None:
    """Cancel the steps of ended jobs that nobody runs; the caller holds the jobs' locks.

    A running step stays running until its worker has stopped: that is the truth, and the
    worker's own acknowledgement ends it.
    """
    idle = set(before(STEP_TRANSITIONS, StepState.CANCELLED)) - {StepState.RUNNING}
    connection.execute(
        update(StepRow)
        .where(StepRow.job_id.in_(job_ids), StepRow.state.in_(idle))
        .values(state=StepState.CANCELLED, finished_at=func.now())
    )


def _kept_source() -> ColumnElement[str]:
    """Return what a job that ends keeps of its source: of a text nothing.

    What is worth keeping of it stands in the result, and what was redacted there must not
    stay here.
    """
    return case((JobRow.kind == "text", ""), else_=JobRow.source)
