"""What grows old: results, keys of requests, and the artifacts that nobody needs any more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import (
    Engine,
    delete,
    exists,
    func,
    or_,
    select,
    update,
)

from app.jobs import JOB_TRANSITIONS, terminal
from app.models import (
    BatchRow,
    DeliveryRow,
    IdempotencyRow,
    JobRow,
    ResultRow,
    RevokedTokenRow,
    UsageRow,
)
from app.storage import folder_of
from app.stores.deletions import referred

BATCH = 500
_IDEMPOTENCY = timedelta(days=1)
_USAGE = timedelta(days=60)
_REVOCATION = timedelta(hours=1)
"""Clocks differ, and a token is taken for some seconds after it has expired."""


class RetentionStore:
    """What the database keeps and for how long. Several janitors share the work."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def expire_results(self, age: timedelta) -> int:
        """Remove the results of a batch of jobs that ended so long ago; return how many.

        What is left of such a job is when it ran and how it ended.
        """
        with self._engine.begin() as connection:
            ended = JobRow.status.in_(terminal(JOB_TRANSITIONS))
            query = (
                select(JobRow.id)
                .where(ended, ~JobRow.expired, JobRow.finished_at < func.now() - age)
                .limit(BATCH)
                .with_for_update(skip_locked=True)
            )
            old = connection.execute(query).scalars().all()
            for row in (ResultRow, DeliveryRow):
                connection.execute(delete(row).where(row.job_id.in_(old)))
            connection.execute(
                update(JobRow)
                .where(JobRow.id.in_(old))
                .values(expired=True, source="", title=None, detail="", callback_url=None)
            )
        return len(old)

    def tidy(self) -> None:
        """Remove what is of no use to anybody any more."""
        used = exists().where(JobRow.batch_id == BatchRow.id)
        empty = delete(BatchRow).where(~used).returning(BatchRow.id).cte()
        statements = (
            delete(IdempotencyRow).where(IdempotencyRow.created_at < func.now() - _IDEMPOTENCY),
            delete(RevokedTokenRow).where(RevokedTokenRow.expires_at < func.now() - _REVOCATION),
            delete(UsageRow).where(UsageRow.day < func.current_date() - _USAGE),
            # With its key: a request that is repeated would look for what is gone.
            delete(IdempotencyRow).where(IdempotencyRow.resource.in_(select(empty.c.id))),
        )
        for statement in statements:
            with self._engine.begin() as connection:
                connection.execute(statement)

    def needed(self, folder: str, keys: Sequence[str], age: timedelta | None) -> set[str]:
        """Return those of the artifacts in an owner's folder that shall stay.

        These are the ones of jobs that have not ended, or not so long ago; where ``age`` is
        None, of all jobs.
        """
        which = []
        if age is not None:
            lately = JobRow.finished_at > func.now() - age
            which.append(or_(JobRow.finished_at.is_(None), lately))
        with self._engine.connect() as connection:
            found = referred(connection, keys, *which)
        return {key for owner, key in found if folder_of(owner) == folder}
