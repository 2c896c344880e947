"""What clients do with batches: submit many jobs at once, look, list, cancel, read the results."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    RowMapping,
    and_,
    case,
    func,
    insert,
    select,
    tuple_,
)
from sqlalchemy.sql import ColumnElement, Select

from app.errors import BatchNotFound, ResultExpired
from app.jobs import (
    JOB_TRANSITIONS,
    Batch,
    JobError,
    JobStatus,
    NewBatch,
    Quotas,
    Repeatable,
    before,
    terminal,
)
from app.models import BatchRow, JobRow, ResultRow
from app.stores.admission import QueueRoom, admit, insert_jobs, storable
from app.stores.cursors import decode_cursor, encode_cursor
from app.stores.endings import cancel_idle_steps, end_jobs
from app.stores.idempotency import made_before
from app.stores.wakeup import ring

MAX_ITEMS = 1000
"""Jobs of one batch."""
MAX_PAGE = 1000
_READ_AT_ONCE = 10
"""Results in memory at the same time; one of an hour of speech has some megabytes."""
_COUNTS = {status: func.count(JobRow.id).filter(JobRow.status == status) for status in JobStatus}


@dataclass(frozen=True, slots=True)
class BatchPage:
    """Some batches, newest first, and where the next page starts."""

    batches: tuple[Batch, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class ItemResult:
    """What became of one job of a batch, as far as it is."""

    index: int
    """Its place in the batch, from 0."""
    job: uuid.UUID
    title: str | None
    status: JobStatus
    result: Any
    """The analysis of a completed job; else None."""
    error: JobError | None
    """Why there is no result and will be none."""


class BatchStore:
    """Batches as their owners see them. Safe to share between threads."""

    def __init__(self, engine: Engine, quotas: Quotas | None = None) -> None:
        self._engine = engine
        self._quotas = quotas or Quotas()
        self._room = QueueRoom(self._quotas.max_queued)

    def submit(
        self,
        new: NewBatch,
        request: Repeatable | None = None,
        *,
        batch_id: uuid.UUID | None = None,
        counted: bool = True,
    ) -> Batch:
        """Record a batch with all its jobs, or none of them; they will run once this returns.

        A repeated ``request`` gives the batch that it made the first time, which has another
        identifier than ``batch_id``. ``counted`` says whether a rate limiter has counted it.

        Raises:
            QueueFull: too many jobs would wait.
            RateLimited: the owner submits too often, and no rate limiter has counted it.
            JobQuotaExceeded, AudioQuotaExceeded: the owner has too many, or used up the day.
            KeyReused: the request's key came with another body before.

        """
        batch_id = batch_id or uuid.uuid4()
        with self._engine.connect() as connection:
            with connection.begin():
                made = made_before(connection, new.owner, request, batch_id)
                if made is None:
                    kinds = [job.kind for job in new.jobs]
                    admit(connection, new.owner, kinds, self._quotas, self._room, counted=counted)
                    self._insert(connection, batch_id, new)
                batch = self._get(connection, made or batch_id, new.owner)
            ring(connection)
        return batch

    def get(self, batch_id: uuid.UUID, owner: str) -> Batch:
        """Return a batch; raise :class:`app.errors.BatchNotFound`."""
        with self._engine.connect() as connection:
            return self._get(connection, batch_id, owner)

    def list(self, owner: str, cursor: str | None, limit: int) -> BatchPage:
        """Return at most ``limit`` batches of an owner, newest first.

        ``cursor`` is the ``next_cursor`` of the page before. Raises
        :class:`ml.errors.OptionInvalid` for a cursor that no page has given.
        """
        limit = max(1, min(limit, MAX_PAGE))
        chosen = select(BatchRow.id).where(BatchRow.owner == owner)
        if cursor is not None:
            position = tuple_(BatchRow.created_at, BatchRow.id)
            chosen = chosen.where(position < decode_cursor(cursor))
        chosen = chosen.order_by(BatchRow.created_at.desc(), BatchRow.id.desc()).limit(limit + 1)
        query = _counted(BatchRow.id.in_(chosen)).order_by(
            BatchRow.created_at.desc(), BatchRow.id.desc()
        )
        with self._engine.connect() as connection:
            found = [_batch(row) for row in connection.execute(query).mappings()]
        batches = tuple(found[:limit])
        more = len(found) > limit
        return BatchPage(
            batches, encode_cursor(batches[-1].created_at, batches[-1].id) if more else None
        )

    def cancel(self, batch_id: uuid.UUID, owner: str) -> Batch:
        """Cancel the jobs of a batch that wait or run; those that have ended stay as they are.

        Cancelling twice is no error. Raises :class:`app.errors.BatchNotFound`.
        """
        with self._engine.begin() as connection:
            self._get(connection, batch_id, owner)
            open_jobs = (
                select(JobRow.id)
                .where(JobRow.batch_id == batch_id)
                .where(JobRow.status.in_(before(JOB_TRANSITIONS, JobStatus.CANCELLED)))
                # In one order, so that two who cancel never wait for each other.
                .order_by(JobRow.id)
                .with_for_update()
            )
            found = connection.execute(open_jobs).scalars().all()
            cancelled = end_jobs(connection, found, JobStatus.CANCELLED)
            cancel_idle_steps(connection, *cancelled)
            return self._get(connection, batch_id, owner)

    def results(self, batch_id: uuid.UUID, owner: str) -> Iterator[ItemResult]:
        """Yield what became of each job of a batch, in order, as it stands when it is read.

        Memory is bounded, and whoever reads slowly holds no connection meanwhile. Raises
        :class:`app.errors.BatchNotFound` before the first.
        """
        self.get(batch_id, owner)
        return self._results(batch_id)

    def _results(self, batch_id: uuid.UUID) -> Iterator[ItemResult]:
        last = -1
        while True:
            query = (
                select(
                    JobRow.batch_index,
                    JobRow.id,
                    JobRow.title,
                    JobRow.status,
                    JobRow.error,
                    JobRow.expired,
                    ResultRow.body,
                )
                .outerjoin(ResultRow, ResultRow.job_id == JobRow.id)
                .where(JobRow.batch_id == batch_id, JobRow.batch_index > last, ~JobRow.erasing)
                .order_by(JobRow.batch_index)
                .limit(_READ_AT_ONCE)
            )
            with self._engine.connect() as connection:
                rows = connection.execute(query).mappings().all()
            if not rows:
                return
            yield from map(_item, rows)
            last = rows[-1]["batch_index"]

    def _insert(self, connection: Connection, batch_id: uuid.UUID, new: NewBatch) -> None:
        connection.execute(
            insert(BatchRow).values(
                id=batch_id,
                owner=new.owner,
                title=storable(new.title) if new.title else None,
                total=len(new.jobs),
            )
        )
        # All are of one moment, and lists then go by id: so they show the batch's own order.
        ids = sorted((uuid.uuid4() for _ in new.jobs), reverse=True)
        insert_jobs(connection, dict(zip(ids, new.jobs, strict=True)), batch_id)

    def _get(self, connection: Connection, batch_id: uuid.UUID, owner: str) -> Batch:
        query = _counted(BatchRow.id == batch_id, BatchRow.owner == owner)
        row = connection.execute(query).mappings().one_or_none()
        if row is None:
            raise BatchNotFound
        return _batch(row)


def _counted(*which: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    """Select batches with the states and the mean progress of their jobs."""
    ended = JobRow.status.in_(terminal(JOB_TRANSITIONS))
    progress = func.avg(case((ended, 1.0), else_=JobRow.progress))
    return (
        select(
            BatchRow.id,
            BatchRow.title,
            BatchRow.total,
            BatchRow.created_at,
            # Where every job was erased there is nothing left to do.
            func.coalesce(progress, 1.0).label("progress"),
            *(count.label(status) for status, count in _COUNTS.items()),
        )
        .outerjoin(JobRow, and_(JobRow.batch_id == BatchRow.id, ~JobRow.erasing))
        .where(*which)
        .group_by(BatchRow.id)
    )


def _batch(row: RowMapping) -> Batch:
    return Batch(
        id=row["id"],
        title=row["title"],
        total=row["total"],
        counts={status: row[status] for status in JobStatus},
        progress=row["progress"],
        created_at=row["created_at"],
    )


def _item(row: RowMapping) -> ItemResult:
    error = JobError(**row["error"]) if row["error"] else None
    if row["expired"]:
        error = JobError.of(ResultExpired())
    return ItemResult(
        index=row["batch_index"],
        job=row["id"],
        title=row["title"],
        status=JobStatus(row["status"]),
        result=row["body"],
        error=error,
    )
