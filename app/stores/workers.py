"""Which workers are alive, and which of those do not work: each process has its own row."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import ColumnElement, Engine, and_, case, delete, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from app.jobs import QUEUES, Queue, StepState
from app.models import StepRow, WorkerRow

FORGET = timedelta(days=1)
READY_SINCE = case(
    (StepRow.attempt == 0, StepRow.created_at),
    (StepRow.available_at > StepRow.started_at, StepRow.available_at),
    # Given back or taken from a worker: nothing notes when, but it was sent right after that.
    else_=func.coalesce(StepRow.published_at, func.now()),
)
"""Since when a ready step waits. Not simply since it was sent: a message that nobody takes is
sent again and again."""


class WorkerStore:
    """The register of workers."""

    def __init__(
        self, engine: Engine, *, timeout_seconds: float = 15.0, patience_seconds: float = 20.0
    ) -> None:
        """``patience_seconds``: how long a step may wait beside a worker that has nothing to do.

        It must be longer than a single lost message takes to be sent again.
        """
        self._engine = engine
        self._timeout = timedelta(seconds=timeout_seconds)
        self._patience = timedelta(seconds=patience_seconds)

    def enter(self, worker: str, queue: Queue, host: str, pid: int) -> None:
        """Note that a worker is ready for work."""
        row = insert(WorkerRow).values(id=worker, queue=queue, host=host, pid=pid)
        with self._engine.begin() as connection:
            connection.execute(
                row.on_conflict_do_update(
                    index_elements=[WorkerRow.id],
                    set_={"started_at": func.now(), "seen_at": func.now()},
                )
            )

    def seen(self, worker: str) -> bool:
        """Note that a worker lives, which calls this every few seconds; return if it is ready."""
        noted = update(WorkerRow).where(WorkerRow.id == worker).values(seen_at=func.now())
        with self._engine.begin() as connection:
            return connection.execute(noted).rowcount == 1

    def leave(self, worker: str) -> None:
        """Forget a worker that stops, and those that fell silent long ago."""
        with self._engine.begin() as connection:
            connection.execute(
                delete(WorkerRow).where(
                    (WorkerRow.id == worker) | (WorkerRow.seen_at < func.now() - FORGET)
                )
            )

    def alive(self) -> Mapping[Queue, int]:
        """Return how many workers of each queue were seen lately; 0 where none was."""
        query = select(WorkerRow.queue, func.count()).where(self._lives()).group_by(WorkerRow.queue)
        with self._engine.connect() as connection:
            found = dict(connection.execute(query).all())
        return {queue: found.get(queue, 0) for queue in QUEUES}

    def hanging(self) -> Mapping[str, Queue]:
        """Return the workers that live and have nothing to do, but do not take what waits.

        A worker whose connection to the broker fell silent looks alive from outside, and so does
        one whose pool is stuck. One that is busy with a long step does not count, however
        long the queue is.
        """
        query = select(WorkerRow.id, WorkerRow.queue).where(
            self._lives(),
            WorkerRow.started_at < func.now() - self._patience,
            exists().where(StepRow.queue == WorkerRow.queue, self._waits(sent=True)),
            ~exists().where(StepRow.worker == WorkerRow.id, self._worked_on_lately()),
        )
        with self._engine.connect() as connection:
            return {row.id: row.queue for row in connection.execute(query)}

    def unsent(self) -> bool:
        """Whether a step is ready that no dispatcher sends."""
        with self._engine.connect() as connection:
            return bool(
                connection.execute(select(exists().where(self._waits(sent=False)))).scalar_one()
            )

    def _lives(self) -> ColumnElement[bool]:
        return WorkerRow.seen_at > func.now() - self._timeout

    def _waits(self, *, sent: bool) -> ColumnElement[bool]:
        """Return the condition under which a step has been ready for too long."""
        return and_(
            StepRow.state == StepState.READY,
            StepRow.published_at.is_not(None) if sent else StepRow.published_at.is_(None),
            func.now() - READY_SINCE > self._patience,
        )

    def _worked_on_lately(self) -> ColumnElement[bool]:
        lately = func.now() - self._patience
        return or_(
            StepRow.state == StepState.RUNNING,
            StepRow.finished_at > lately,
            and_(StepRow.state == StepState.WAITING, StepRow.started_at > lately),
        )
