"""What clients do with jobs: submit, look, list, cancel, read the result.

Every change is an update guarded by the states that it may start from, so two callers never
both succeed; where no row matches, a typed error says why. Locks are always taken in the
order job, then step. Times are the database's, so the clocks of the machines do not matter.
"""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    RowMapping,
    case,
    func,
    insert,
    select,
    tuple_,
    update,
)

from app.cursors import decode_cursor, encode_cursor
from app.errors import JobFailed, JobFinished, JobNotFinished, JobNotFound, QueueFull
from app.jobs import (
    FIRST_STEP,
    JOB_TRANSITIONS,
    SHOWN_SOURCE,
    STEP_TRANSITIONS,
    Counts,
    Job,
    JobError,
    JobStatus,
    NewJob,
    Page,
    StepState,
    before,
)
from app.models import JobRow, ResultRow, StepRow
from app.wakeup import notify
from ml.errors import Cancelled

_JOB = (
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
    JobRow.created_at,
    JobRow.started_at,
    JobRow.finished_at,
)
MAX_PAGE = 1000


class JobStore:
    """Jobs as their owners see them. Safe to share between threads."""

    def __init__(self, engine: Engine, *, max_queued: int = 10_000) -> None:
        self._engine = engine
        self._max_queued = max_queued

    def submit(self, new: NewJob) -> Job:
        """Record a job and its first step; it will run once this returns.

        Raises :class:`app.errors.QueueFull` when too many jobs wait.
        """
        stage, queue = FIRST_STEP[new.kind]
        job_id = uuid.uuid4()
        with self._engine.begin() as connection:
            self._refuse_if_full(connection)
            row = connection.execute(
                insert(JobRow)
                .values(
                    id=job_id,
                    owner=new.owner,
                    kind=new.kind,
                    source=_storable(new.source),
                    title=_storable(new.title) if new.title else None,
                    options=dict(new.options),
                )
                .returning(*_JOB)
            )
            job = _job(row.mappings().one())
            connection.execute(
                insert(StepRow).values(job_id=job_id, stage=stage, part=0, parts=1, queue=queue)
            )
            notify(connection)
        return job

    def get(self, job_id: uuid.UUID, owner: str) -> Job:
        """Return a job; raise :class:`app.errors.JobNotFound`."""
        with self._engine.connect() as connection:
            return self._get(connection, job_id, owner)

    def list(self, owner: str, status: JobStatus | None, cursor: str | None, limit: int) -> Page:
        """Return at most ``limit`` jobs of an owner, newest first.

        ``cursor`` is the ``next_cursor`` of the page before. Raises
        :class:`ml.errors.OptionInvalid` for a cursor that no page has given.
        """
        limit = max(1, min(limit, MAX_PAGE))
        query = select(*_JOB).where(JobRow.owner == owner)
        if status is not None:
            query = query.where(JobRow.status == status)
        if cursor is not None:
            query = query.where(tuple_(JobRow.created_at, JobRow.id) < decode_cursor(cursor))
        query = query.order_by(JobRow.created_at.desc(), JobRow.id.desc()).limit(limit + 1)
        with self._engine.connect() as connection:
            found = [_job(row) for row in connection.execute(query).mappings()]
        jobs = tuple(found[:limit])
        more = len(found) > limit
        return Page(jobs, encode_cursor(jobs[-1].created_at, jobs[-1].id) if more else None)

    def cancel(self, job_id: uuid.UUID, owner: str) -> Job:
        """Cancel a job. A running step learns of it at its next heartbeat, within 2 seconds.

        Cancelling twice is no error. Raises :class:`app.errors.JobFinished` for a job that
        completed or failed.
        """
        with self._engine.begin() as connection:
            cancelled = connection.execute(
                update(JobRow)
                .where(JobRow.id == job_id, JobRow.owner == owner)
                .where(JobRow.status.in_(before(JOB_TRANSITIONS, JobStatus.CANCELLED)))
                .values(status=JobStatus.CANCELLED, finished_at=func.now(), source=kept_source())
            )
            if cancelled.rowcount:
                cancel_idle_steps(connection, job_id)
            job = self._get(connection, job_id, owner)
        if job.status is not JobStatus.CANCELLED:
            raise JobFinished(f"The job has ended already: it {job.status}.")
        return job

    def result(self, job_id: uuid.UUID, owner: str) -> dict[str, Any]:
        """Return the result of a completed job.

        Raises :class:`app.errors.JobNotFound`, :class:`app.errors.JobNotFinished`,
        :class:`app.errors.JobFailed` or :class:`ml.errors.Cancelled`.
        """
        with self._engine.connect() as connection:
            job = self._get(connection, job_id, owner)
            if job.status is JobStatus.FAILED:
                raise JobFailed(job.error.message if job.error else None)
            if job.status is JobStatus.CANCELLED:
                raise Cancelled
            if job.status is not JobStatus.COMPLETED:
                raise JobNotFinished
            query = select(ResultRow.body).where(ResultRow.job_id == job_id)
            body: dict[str, Any] = connection.execute(query).scalar_one()
        return body

    def counts(self) -> Counts:
        """Return how many jobs there are of each status, over all owners."""
        by_status = select(JobRow.status, func.count()).group_by(JobRow.status)
        oldest = select(func.extract("epoch", func.now() - func.min(JobRow.created_at))).where(
            JobRow.status == JobStatus.QUEUED
        )
        with self._engine.connect() as connection:
            found = dict(connection.execute(by_status).all())
            age = connection.execute(oldest).scalar_one()
        return Counts({status: found.get(status, 0) for status in JobStatus}, float(age or 0))

    def _get(self, connection: Connection, job_id: uuid.UUID, owner: str) -> Job:
        query = select(*_JOB).where(JobRow.id == job_id, JobRow.owner == owner)
        row = connection.execute(query).mappings().one_or_none()
        if row is None:
            raise JobNotFound
        return _job(row)

    def _refuse_if_full(self, connection: Connection) -> None:
        queued = (
            select(JobRow.id)
            .where(JobRow.status == JobStatus.QUEUED)
            .limit(self._max_queued)
            .subquery()
        )
        if connection.execute(select(func.count()).select_from(queued)).scalar_one() >= (
            self._max_queued
        ):
            raise QueueFull


def kept_source() -> ColumnElement[str]:
    """Return what a job that ends keeps of its source: of a text nothing.

    What is worth keeping of it stands in the result, and what was redacted there must not
    stay here.
    """
    return case((JobRow.kind == "text", ""), else_=JobRow.source)


def cancel_idle_steps(connection: Connection, job_id: uuid.UUID) -> None:
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


def _storable(text: str) -> str:
    """Drop what Postgres cannot hold in text: NUL characters and halves of surrogate pairs."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


def _job(row: RowMapping) -> Job:
    values = dict(row)
    values["status"] = JobStatus(values["status"])
    values["error"] = JobError(**values["error"]) if values["error"] else None
    return Job(**values)
