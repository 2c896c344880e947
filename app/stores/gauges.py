"""How the queue stands at this moment, for Prometheus; every query here is answered by an index."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, Engine, func, literal, or_, select, union_all

from app.jobs import QUEUES, STEP_TRANSITIONS, DeliveryState, Queue, StepState, unfinished
from app.models import DeliveryRow, StepRow
from app.stores.workers import READY_SINCE
from ml.errors import WorkerLost

OPEN = unfinished(STEP_TRANSITIONS)
_RECENTLY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class StageTrouble:
    """What went wrong with the steps of one stage that are open, or ended within the hour."""

    retries: int
    losses: int
    quarantined: int
    """Steps that were given up because they lost too many workers."""


@dataclass(frozen=True, slots=True)
class Gauges:
    """Steps and reports at one moment."""

    steps: Mapping[tuple[Queue, StepState], int]
    """Those that are open."""
    oldest_ready_seconds: Mapping[Queue, float]
    """How long the oldest ready step has been waiting; 0 where none does."""
    trouble: Mapping[str, StageTrouble]
    """By stage."""
    deliveries_pending: int
    deliveries_failing: int
    """Those among them that nobody has taken yet."""


class GaugeStore:
    """Reads :class:`Gauges`. Safe to share between threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def read(self) -> Gauges:
        """Return how things stand."""
        with self._engine.connect() as connection:
            pending, failing = _deliveries(connection)
            return Gauges(
                steps=_open_steps(connection),
                oldest_ready_seconds=_oldest_ready(connection),
                trouble=_trouble(connection),
                deliveries_pending=pending,
                deliveries_failing=failing,
            )


def _open_steps(connection: Connection) -> dict[tuple[Queue, StepState], int]:
    # One query a state: each has an index of its own.
    counts = union_all(
        *(
            select(StepRow.queue, literal(state.value).label("state"), func.count())
            .where(StepRow.state == state)
            .group_by(StepRow.queue)
            for state in OPEN
        )
    )
    found = {(queue, StepState(state)): n for queue, state, n in connection.execute(counts)}
    return {(queue, state): found.get((queue, state), 0) for queue in QUEUES for state in OPEN}


def _oldest_ready(connection: Connection) -> dict[Queue, float]:
    query = (
        select(StepRow.queue, func.extract("epoch", func.now() - func.min(READY_SINCE)))
        .where(StepRow.state == StepState.READY)
        .group_by(StepRow.queue)
    )
    found = dict(connection.execute(query).all())
    return {queue: max(0.0, float(found.get(queue, 0))) for queue in QUEUES}


def _trouble(connection: Connection) -> dict[str, StageTrouble]:
    recent = or_(
        StepRow.finished_at > func.now() - _RECENTLY, *(StepRow.state == state for state in OPEN)
    )
    quarantined = (StepRow.state == StepState.FAILED) & (
        StepRow.error["code"].astext == WorkerLost.code
    )
    query = (
        select(
            StepRow.stage,
            func.sum(StepRow.failures),
            func.sum(StepRow.losses),
            func.count().filter(quarantined),
        )
        .where(recent)
        .group_by(StepRow.stage)
    )
    return {stage: StageTrouble(*counts) for stage, *counts in connection.execute(query)}


def _deliveries(connection: Connection) -> tuple[int, int]:
    tried = func.jsonb_array_length(DeliveryRow.attempts) > 0
    query = select(func.count(), func.count().filter(tried)).where(
        DeliveryRow.state == DeliveryState.PENDING
    )
    pending, failing = connection.execute(query).one()
    return pending, failing
