"""What happened lately, counted by the database: the history that Flower does not keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Date, Engine, Executable, case, cast, func, select

from app.jobs import JobStatus, StepState
from app.models import JobRow, StepRow

SPEECH_STAGE = "transcribe"
"""The stage whose time the length of recordings is compared with."""


@dataclass(frozen=True, slots=True)
class JobCount:
    """How many jobs of one kind were submitted and stand where."""

    kind: str
    status: JobStatus
    count: int


@dataclass(frozen=True, slots=True)
class StageStats:
    """How the steps of one stage went that ended."""

    stage: str
    done: int
    failed: int
    p50_seconds: float | None
    """Time of the runs that were done; None where there were none."""
    p95_seconds: float | None
    max_seconds: float | None
    retries: int
    """Transient errors that were tried again."""
    losses: int
    """Workers that died with one of these steps."""


@dataclass(frozen=True, slots=True)
class ErrorCount:
    """How many jobs failed with one code."""

    code: str
    count: int


@dataclass(frozen=True, slots=True)
class DayStats:
    """The jobs that were submitted on one day (UTC)."""

    day: date
    submitted: int
    completed: int
    failed: int
    cancelled: int
    audio_hours: float


@dataclass(frozen=True, slots=True)
class Stats:
    """Jobs that were submitted since a moment, and steps that ended since then."""

    jobs: Sequence[JobCount]
    stages: Sequence[StageStats]
    errors: Sequence[ErrorCount]
    days: Sequence[DayStats]
    audio_hours: float
    real_time_factor: float | None
    """Time spent on hearing what was said, by length of the recordings; less than 1 is faster
    than they play. None where nothing was heard."""


class StatsStore:
    """Counts jobs and steps. Safe to share between threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def real_time_factor(self, since: datetime) -> float | None:
        """Return that of all recordings whose speech was heard since a moment."""
        with self._engine.connect() as connection:
            return _speech(connection, since, None)[1]

    def read(self, since: datetime, owner: str | None) -> Stats:
        """Count what happened since a moment to the jobs of one owner, or of all."""
        submitted = [JobRow.created_at >= since, *_of(owner)]
        with self._engine.connect() as connection:
            audio, factor = _speech(connection, since, owner)
            return Stats(
                jobs=_jobs(connection, submitted),
                stages=_all(connection, StageStats, _stages(since, owner)),
                errors=_all(connection, ErrorCount, _errors(submitted)),
                days=_all(connection, DayStats, _days(submitted)),
                audio_hours=audio / 3600,
                real_time_factor=factor,
            )


def _of(owner: str | None) -> list[ColumnElement[bool]]:
    return [~JobRow.erasing] if owner is None else [~JobRow.erasing, JobRow.owner == owner]


def _all(connection: Connection, kind: type[Any], query: Executable) -> list[Any]:
    return [kind(**row) for row in connection.execute(query).mappings()]


def _jobs(connection: Connection, submitted: list[ColumnElement[bool]]) -> list[JobCount]:
    query = (
        select(JobRow.kind, JobRow.status, func.count())
        .where(*submitted)
        .group_by(JobRow.kind, JobRow.status)
        .order_by(JobRow.kind, JobRow.status)
    )
    rows = connection.execute(query)
    return [JobCount(kind, JobStatus(status), count) for kind, status, count in rows]


def _errors(submitted: list[ColumnElement[bool]]) -> Executable:
    code = JobRow.error["code"].astext.label("code")
    count = func.count().label("count")
    return (
        select(code, count)
        .where(*submitted, JobRow.status == JobStatus.FAILED)
        .group_by(code)
        .order_by(count.desc(), code)
    )


def _days(submitted: list[ColumnElement[bool]]) -> Executable:
    day = cast(func.timezone("UTC", JobRow.created_at), Date).label("day")

    def ended(status: JobStatus) -> ColumnElement[int]:
        return func.count().filter(JobRow.status == status).label(status.value)

    return (
        select(
            day,
            func.count().label("submitted"),
            ended(JobStatus.COMPLETED),
            ended(JobStatus.FAILED),
            ended(JobStatus.CANCELLED),
            (func.coalesce(func.sum(JobRow.audio_seconds), 0.0) / 3600).label("audio_hours"),
        )
        .where(*submitted)
        .group_by(day)
        .order_by(day)
    )


def _ended_steps(since: datetime, owner: str | None) -> list[ColumnElement[bool]]:
    ended = [StepRow.finished_at >= since]
    if owner is None:
        return ended
    mine = select(JobRow.id).where(JobRow.owner == owner, ~JobRow.erasing)
    return [*ended, StepRow.job_id.in_(mine)]


def _seconds() -> ColumnElement[Any]:
    return func.extract("epoch", StepRow.finished_at - StepRow.started_at)


def _stages(since: datetime, owner: str | None) -> Executable:
    done = StepRow.state == StepState.DONE
    taken = case((done, _seconds()))

    def percentile(share: float) -> ColumnElement[float]:
        return func.percentile_cont(share).within_group(taken)

    return (
        select(
            StepRow.stage,
            func.count().filter(done).label("done"),
            func.count().filter(StepRow.state == StepState.FAILED).label("failed"),
            percentile(0.5).label("p50_seconds"),
            percentile(0.95).label("p95_seconds"),
            func.max(taken).label("max_seconds"),
            func.sum(StepRow.failures).label("retries"),
            func.sum(StepRow.losses).label("losses"),
        )
        .where(*_ended_steps(since, owner))
        .group_by(StepRow.stage)
        .order_by(StepRow.stage)
    )


def _speech(
    connection: Connection, since: datetime, owner: str | None
) -> tuple[float, float | None]:
    """Return seconds of audio that were heard, and the real-time factor."""
    heard = (
        select(StepRow.job_id, func.sum(_seconds()).label("seconds"))
        .where(
            *_ended_steps(since, owner),
            StepRow.stage == SPEECH_STAGE,
            StepRow.state == StepState.DONE,
        )
        .group_by(StepRow.job_id)
        .subquery()
    )
    query = select(
        func.coalesce(func.sum(JobRow.audio_seconds), 0.0), func.sum(heard.c.seconds)
    ).join(heard, heard.c.job_id == JobRow.id)
    audio, taken = connection.execute(query).one()
    return float(audio), float(taken) / float(audio) if audio else None
