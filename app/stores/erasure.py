"""Erasing: what the owner of a job wants gone goes, from the database and from the store.

A job is erased in two transactions. The first takes all that it holds and hides it for good.
Where a worker still runs a step of it, the row stays, empty, until that has stopped: only then
is it certain which artifacts there are. The second removes the row and condemns the artifacts.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime

import structlog
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Select,
    and_,
    case,
    delete,
    exists,
    func,
    literal,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB

from app.errors import JobNotFound
from app.jobs import JobStatus, StepState
from app.models import DeletionRow, DeliveryRow, IdempotencyRow, JobRow, ResultRow, StepRow
from app.stores.deletions import condemn, keys_of, referred
from app.stores.endings import cancel_idle_steps, end_job

BATCH = 100
_CONDEMNED = (DeletionRow.created_at, DeletionRow.owner, DeletionRow.key)
_PLACE = tuple_(DeletionRow.owner, DeletionRow.key)
_LINE = (
    select(*_CONDEMNED)
    .order_by(DeletionRow.created_at, DeletionRow.owner, DeletionRow.key)
    .limit(BATCH)
)
Remove = Callable[[str, str], None]
"""Removes one artifact from the store: of this owner, under this key."""
log = structlog.get_logger(__name__)


class ErasureStore:
    """Erasures as owners ask for them and janitors finish them. Several janitors share the work."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def erase(self, job_id: uuid.UUID, owner: str) -> bool:
        """Erase a job; return whether that is all, but for what :meth:`purge` removes.

        It is not while a worker runs a step of the job; :meth:`finish` does the rest then. From
        now on nobody sees the job. Raises :class:`app.errors.JobNotFound`.
        """
        mine = and_(JobRow.id == job_id, JobRow.owner == owner, ~JobRow.erasing)
        with self._engine.begin() as connection:
            query = select(JobRow.id).where(mine).with_for_update()
            if connection.execute(query).one_or_none() is None:
                raise JobNotFound
            if end_job(connection, job_id, JobStatus.CANCELLED):
                cancel_idle_steps(connection, job_id)
            self._empty(connection, job_id)
            return bool(self._drop(connection, JobRow.id == job_id))

    def finish(self) -> int:
        """Remove a batch of erased jobs whose workers have stopped; return how many."""
        with self._engine.begin() as connection:
            return self._drop(connection, and_(JobRow.erasing))

    def purge(self, remove: Remove) -> int:
        """Remove a batch of condemned artifacts of all owners; return how many are done with.

        One that a job refers to again stays. One that cannot be removed now goes to the end of
        the line, and ends the batch: with it, the store may be away.
        """
        with self._engine.begin() as connection:
            return self._purge(connection, _LINE.with_for_update(skip_locked=True), remove)

    def clear(self, owner: str, remove: Remove) -> bool:
        """Remove all condemned artifacts of an owner; return whether none is left.

        Those that a janitor has taken up are waited for.
        """
        mine = _LINE.where(DeletionRow.owner == owner)
        line = mine.subquery()
        # Locked in the order in which condemn() does that, or the two might wait in a circle.
        locked = (
            select(*_CONDEMNED)
            .where(_PLACE.in_(select(line.c.owner, line.c.key)))
            .order_by(DeletionRow.key.collate("C"))
            .with_for_update()
        )
        while True:
            with self._engine.begin() as connection:
                if self._purge(connection, locked, remove):
                    continue
                return not connection.execute(mine).first()

    def _purge(
        self, connection: Connection, line: Select[datetime, str, str], remove: Remove
    ) -> int:
        # However they were locked, the one that is tried first is the one that waits longest.
        rows = sorted(connection.execute(line), key=lambda row: row.created_at)
        condemned = [(row.owner, row.key) for row in rows]
        if not condemned:
            return 0
        kept = referred(connection, [key for _, key in condemned])
        done = 0
        for owner, key in condemned:
            if (owner, key) not in kept and not _removed(remove, owner, key):
                break
            done += 1
        connection.execute(delete(DeletionRow).where(_PLACE.in_(condemned[:done])))
        connection.execute(
            update(DeletionRow)
            .where(_PLACE.in_(condemned[done : done + 1]))
            .values(created_at=func.clock_timestamp())
        )
        return done

    def _empty(self, connection: Connection, job_id: uuid.UUID) -> None:
        """Take from a job all that came from its owner."""
        connection.execute(
            update(JobRow)
            .where(JobRow.id == job_id)
            .values(
                erasing=True,
                source="",
                title=None,
                options={},
                detail="",
                error=case((JobRow.status == JobStatus.FAILED, literal({}, JSONB))),
                batch_id=None,
                callback_url=None,
                request_id=None,
                trace=None,
            )
        )
        connection.execute(update(StepRow).where(StepRow.job_id == job_id).values(error=None))
        for row, column in (
            (ResultRow, ResultRow.job_id),
            (DeliveryRow, DeliveryRow.job_id),
            (IdempotencyRow, IdempotencyRow.resource),
        ):
            connection.execute(delete(row).where(column == job_id))

    def _drop(self, connection: Connection, which: ColumnElement[bool]) -> int:
        """Drop emptied jobs that no worker holds, and condemn their artifacts."""
        held = exists().where(StepRow.job_id == JobRow.id, StepRow.state == StepState.RUNNING)
        query = select(JobRow.id).where(which, ~held).limit(BATCH).with_for_update(skip_locked=True)
        found = connection.execute(query).scalars().all()
        if found:
            condemn(connection, keys_of(connection, found))
            connection.execute(delete(JobRow).where(JobRow.id.in_(found)))
        return len(found)


def _removed(remove: Remove, owner: str, key: str) -> bool:
    try:
        remove(owner, key)
    except Exception as error:  # each file system has errors of its own
        log.warning("artifact.not_removed", error=type(error).__name__)
        return False
    return True
