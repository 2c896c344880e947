"""Which workers are alive: each process says so in its own row."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import Engine, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from app.jobs import QUEUES, Queue
from app.models import WorkerRow

FORGET = timedelta(days=1)


class WorkerStore:
    """The register of workers."""

    def __init__(self, engine: Engine, *, timeout_seconds: float = 15.0) -> None:
        self._engine = engine
        self._timeout = timedelta(seconds=timeout_seconds)

    def enter(self, worker: str, queue: Queue, host: str, pid: int) -> None:
        """Note that a worker is ready for work."""
        row = insert(WorkerRow).values(id=worker, queue=queue, host=host, pid=pid)
        with self._engine.begin() as connection:
            connection.execute(
                row.on_conflict_do_update(
                    index_elements=[WorkerRow.id], set_={"seen_at": func.now()}
                )
            )

    def seen(self, worker: str) -> None:
        """Note that a worker lives, if it was ready once; it calls this every few seconds."""
        with self._engine.begin() as connection:
            connection.execute(
                update(WorkerRow).where(WorkerRow.id == worker).values(seen_at=func.now())
            )

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
        query = (
            select(WorkerRow.queue, func.count())
            .where(WorkerRow.seen_at > func.now() - self._timeout)
            .group_by(WorkerRow.queue)
        )
        with self._engine.connect() as connection:
            found = dict(connection.execute(query).all())
        return {queue: found.get(queue, 0) for queue in QUEUES}
