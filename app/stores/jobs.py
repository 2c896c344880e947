"""What clients do with jobs: submit, look, list, cancel, read the result.

Every change is an update guarded by the states that it may start from, so two callers never
both succeed; where no row matches, a typed error says why. Locks are always taken in the
order job, then step. Times are the database's, so the clocks of the machines do not matter.
"""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    bindparam,
    func,
    select,
    tuple_,
)

from app.db import single_statements
from app.errors import JobFailed, JobFinished, JobNotFinished, JobNotFound, ResultExpired
from app.jobs import (
    Counts,
    Job,
    JobStatus,
    NewJob,
    Page,
    Quotas,
    Repeatable,
)
from app.models import JobRow, ResultRow
from app.stores.admission import QueueRoom, admit, insert_jobs, take_turns
from app.stores.cursors import decode_cursor, encode_cursor
from app.stores.endings import cancel_idle_steps, end_job
from app.stores.idempotency import made_before
from app.stores.job_rows import JOB, job_of
from app.stores.wakeup import ring
from ml.errors import Cancelled

# Made once: SQLAlchemy then neither compiles it nor matches its columns again.
_ONE = select(*JOB).where(
    JobRow.id == bindparam("job_id"), JobRow.owner == bindparam("owner"), ~JobRow.erasing
)
MAX_PAGE = 1000


class JobStore:
    """Jobs as their owners see them. Safe to share between threads."""

    def __init__(self, engine: Engine, quotas: Quotas | None = None) -> None:
        self._engine = engine
        self._quotas = quotas or Quotas()
        self._room = QueueRoom(self._quotas.max_queued)

    def submit(
        self,
        new: NewJob,
        request: Repeatable | None = None,
        *,
        job_id: uuid.UUID | None = None,
        counted: bool = True,
    ) -> Job:
        """Record a job and its first step; it will run once this returns.

        A repeated ``request`` gives the job that it made the first time, which has another
        identifier than ``job_id``. ``counted`` says whether a rate limiter has counted it.

        Raises:
            QueueFull: too many jobs wait.
            RateLimited: the owner submits too often, and no rate limiter has counted it.
            JobQuotaExceeded, AudioQuotaExceeded: the owner has too many, or used up the day.
            KeyReused: the request's key came with another body before.

        """
        job_id = job_id or uuid.uuid4()
        with self._engine.connect() as connection:
            # An insertion that nothing else goes with is whole by itself.
            together = request is not None or take_turns(self._quotas, counted=counted)
            with connection.begin() if together else single_statements(connection):
                before = made_before(connection, new.owner, request, job_id)
                if before is not None:
                    return self._get(connection, before, new.owner)
                admit(connection, new.owner, [new.kind], self._quotas, self._room, counted=counted)
                (job,) = insert_jobs(connection, {job_id: new})
            ring(connection)
        return job

    def get(self, job_id: uuid.UUID, owner: str) -> Job:
        """Return a job; raise :class:`app.errors.JobNotFound`."""
        with self._engine.connect() as connection, single_statements(connection):
            return self._get(connection, job_id, owner)

    def list(
        self,
        owner: str,
        status: JobStatus | None,
        cursor: str | None,
        limit: int,
        batch_id: uuid.UUID | None = None,
    ) -> Page:
        """Return at most ``limit`` jobs of an owner, or of one of its batches, newest first.

        ``cursor`` is the ``next_cursor`` of the page before. Raises
        :class:`ml.errors.OptionInvalid` for a cursor that no page has given.
        """
        limit = max(1, min(limit, MAX_PAGE))
        query = select(*JOB).where(JobRow.owner == owner, ~JobRow.erasing)
        if batch_id is not None:
            query = query.where(JobRow.batch_id == batch_id)
        if status is not None:
            query = query.where(JobRow.status == status)
        if cursor is not None:
            query = query.where(tuple_(JobRow.created_at, JobRow.id) < decode_cursor(cursor))
        query = query.order_by(JobRow.created_at.desc(), JobRow.id.desc()).limit(limit + 1)
        with self._engine.connect() as connection:
            found = [job_of(row) for row in connection.execute(query)]
        jobs = tuple(found[:limit])
        more = len(found) > limit
        return Page(jobs, encode_cursor(jobs[-1].created_at, jobs[-1].id) if more else None)

    def cancel(self, job_id: uuid.UUID, owner: str) -> Job:
        """Cancel a job. A running step learns of it at its next heartbeat, within 2 seconds.

        Cancelling twice is no error. Raises :class:`app.errors.JobFinished` for a job that
        completed or failed.
        """
        with self._engine.begin() as connection:
            self._get(connection, job_id, owner)
            if end_job(connection, job_id, JobStatus.CANCELLED):
                cancel_idle_steps(connection, job_id)
            job = self._get(connection, job_id, owner)
        if job.status is not JobStatus.CANCELLED:
            raise JobFinished(f"The job has ended already: it {job.status}.")
        return job

    def result(self, job_id: uuid.UUID, owner: str) -> dict[str, Any]:
        """Return the result of a completed job.

        Raises :class:`app.errors.JobNotFound`, :class:`app.errors.JobNotFinished`,
        :class:`app.errors.JobFailed`, :class:`app.errors.ResultExpired` or
        :class:`ml.errors.Cancelled`.
        """
        with self._engine.connect() as connection:
            job = self._get(connection, job_id, owner)
            if job.status is JobStatus.FAILED:
                raise JobFailed(job.error.message if job.error else None)
            if job.status is JobStatus.CANCELLED:
                raise Cancelled
            if job.status is not JobStatus.COMPLETED:
                raise JobNotFinished
            if job.expired:
                raise ResultExpired
            query = select(ResultRow.body).where(ResultRow.job_id == job_id)
            body: dict[str, Any] | None = connection.execute(query).scalar_one_or_none()
            if body is None:  # erased or expired since the job was read
                self._get(connection, job_id, owner)
                raise ResultExpired
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
        found = connection.execute(_ONE, {"job_id": job_id, "owner": owner})
        row = found.one_or_none()
        if row is None:
            raise JobNotFound
        return job_of(row)
