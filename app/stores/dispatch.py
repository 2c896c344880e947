"""What the dispatcher does with steps: send them, wake them, take them from dead workers."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import asdict
from datetime import timedelta

from sqlalchemy import ColumnElement, Connection, Engine, and_, func, or_, select, update
from sqlalchemy.orm import aliased

from app.jobs import STEP_TRANSITIONS, JobError, JobStatus, Queue, Step, StepState, before
from app.models import StepRow
from app.stores.endings import fail_job, lock_job
from app.stores.wakeup import notify
from ml.errors import WorkerLost

BATCH = 500


class DispatchStore:
    """Steps as dispatchers see them; several dispatchers may share one database."""

    def __init__(
        self, engine: Engine, *, max_attempts: int = 3, republish_seconds: float = 15.0
    ) -> None:
        self._engine = engine
        self._max_attempts = max_attempts
        self._republish = timedelta(seconds=republish_seconds)

    def publish(
        self, send: Callable[[Step], None], empty_queues: Collection[Queue] | None = None
    ) -> int:
        """Send a batch of steps whose message was never sent; return how many.

        With the queues that are empty, also those whose message seems lost. To find these it looks
        at everything that waits, so ask for them now and then.

        A step counts as sent when the transaction commits, which is after its message: a
        crash in between sends it twice, never not at all. What ``send`` raises passes
        through, and nothing counts as sent then.
        """
        query = (
            select(StepRow.id, StepRow.job_id, StepRow.stage, StepRow.part, StepRow.queue)
            .where(StepRow.state == StepState.READY)
            .where(
                StepRow.published_at.is_(None)
                if empty_queues is None
                else or_(StepRow.published_at.is_(None), self._seems_lost(empty_queues))
            )
            .order_by(StepRow.id)
            .limit(BATCH)
            .with_for_update(skip_locked=True)
        )
        with self._engine.begin() as connection:
            steps = [Step(**row) for row in connection.execute(query).mappings()]
            for step in steps:
                send(step)
            if steps:
                connection.execute(
                    update(StepRow)
                    .where(StepRow.id.in_([step.id for step in steps]))
                    .values(published_at=func.clock_timestamp())
                )
        return len(steps)

    def forget_published(self) -> int:
        """Have every ready step sent again, because the broker lost its messages."""
        with self._engine.begin() as connection:
            forgotten = connection.execute(
                update(StepRow)
                .where(StepRow.state == StepState.READY, StepRow.published_at.is_not(None))
                .values(published_at=None)
            )
        return forgotten.rowcount

    def promote_waiting(self) -> int:
        """Make ready the steps whose time has come; return how many."""
        with self._engine.begin() as connection:
            promoted = connection.execute(
                update(StepRow)
                .where(StepRow.state == StepState.WAITING, StepRow.available_at <= func.now())
                .values(state=StepState.READY, published_at=None)
            )
        return promoted.rowcount

    def revive_expired(self) -> int:
        """Take the steps whose lease ran out from their workers; return how many.

        Each becomes ready again, or fails with ``worker.lost`` when it lost too many.
        """
        expired = and_(StepRow.state == StepState.RUNNING, StepRow.lease_until < func.now())
        with self._engine.connect() as connection:
            steps = connection.execute(select(StepRow.id).where(expired).limit(BATCH)).scalars()
            found = list(steps)
        return sum(self._take(step_id, expired) for step_id in found)

    def lose(self, step_id: int, worker: str) -> bool:
        """Take a step from a worker whose process is known to have died."""
        held = and_(StepRow.state == StepState.RUNNING, StepRow.worker == worker)
        return self._take(step_id, held)

    def _take(self, step_id: int, condition: ColumnElement[bool]) -> bool:
        """Take one step from its worker if the condition still holds."""
        with self._engine.begin() as connection:
            job_id = connection.execute(
                select(StepRow.job_id).where(StepRow.id == step_id)
            ).scalar_one_or_none()
            if job_id is None:
                return False
            job_runs = lock_job(connection, job_id) is JobStatus.RUNNING
            losses = connection.execute(
                select(StepRow.losses).where(StepRow.id == step_id, condition).with_for_update()
            ).scalar_one_or_none()
            if losses is None:
                return False
            if not job_runs:
                self._move(connection, step_id, StepState.CANCELLED)
            elif losses + 1 < self._max_attempts:
                self._move(connection, step_id, StepState.READY)
                notify(connection)
            else:
                self._quarantine(connection, step_id)
                fail_job(connection, job_id, JobError.of(WorkerLost()))
        return True

    def _quarantine(self, connection: Connection, step_id: int) -> None:
        self._move(connection, step_id, StepState.FAILED)
        connection.execute(
            update(StepRow)
            .where(StepRow.id == step_id)
            .values(error=asdict(JobError.of(WorkerLost())))
        )

    def _move(self, connection: Connection, step_id: int, state: StepState) -> None:
        """Move a step that the caller has locked, counting the loss of its worker."""
        ended = state is not StepState.READY
        connection.execute(
            update(StepRow)
            .where(StepRow.id == step_id, StepRow.state.in_(before(STEP_TRANSITIONS, state)))
            .values(
                state=state,
                losses=StepRow.losses + 1,
                published_at=None,
                finished_at=func.now() if ended else None,
            )
        )

    def _seems_lost(self, empty_queues: Collection[Queue]) -> ColumnElement[bool]:
        """Return the condition under which a message that was sent is taken for lost.

        Nobody took it for a while, and its queue holds nothing, or has moved on: queues are
        first in, first out, so when a step runs that was sent much later, this one's
        message is gone. Steps that merely wait in a long queue are not sent again.
        """
        running = aliased(StepRow)
        frontier = (
            select(func.max(running.published_at))
            .where(running.state == StepState.RUNNING, running.queue == StepRow.queue)
            .scalar_subquery()
        )
        return and_(
            StepRow.published_at < func.now() - self._republish,
            or_(
                StepRow.queue.in_(list(empty_queues)),
                StepRow.published_at < frontier - self._republish,
            ),
        )
