from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa

from app.db import create_db_engine
from app.jobs import JobStatus, NewJob, StepState
from app.stores.gauges import GaugeStore
from app.stores.jobs import JobStore
from app.stores.statistics import DayStats, ErrorCount, JobCount, StageStats, StatsStore
from app.stores.workers import WorkerStore

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def engine(database: str) -> Iterator[sa.Engine]:
    engine = create_db_engine(database)
    yield engine
    engine.dispose()


def execute(engine: sa.Engine, statement: str, **values: object) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text(statement), values)


def job(engine: sa.Engine, at: datetime, owner: str = "me", audio: float | None = None) -> UUID:
    """Submit a job of one owner as if at that time."""
    job_id = JobStore(engine).submit(NewJob("text", "Hello.", owner=owner)).id
    statement = "UPDATE jobs SET created_at = :at, audio_seconds = :audio WHERE id = :id"
    execute(engine, statement, at=at, audio=audio, id=job_id)
    return job_id


def step(
    engine: sa.Engine, job_id: UUID, stage: str, seconds: float, state: str = "done", **more: object
) -> None:
    values = {"part": 0, "failures": 0, "losses": 0, "error": None, "ended": NOON} | more
    execute(
        engine,
        "INSERT INTO steps (job_id, stage, part, parts, queue, state, output_key, failures,"
        " losses, error, started_at, finished_at) VALUES (:job, :stage, :part, 9, 'gpu',"
        " CAST(:state AS text), CASE WHEN CAST(:state AS text) = 'done' THEN 'key' END, :failures,"
        " :losses, :error, :began, :ended)",
        job=job_id,
        stage=stage,
        state=state,
        began=values["ended"] - timedelta(seconds=seconds),  # type: ignore[operator]
        **values,
    )


def test_statistics_of_one_owner_and_of_all(engine: sa.Engine) -> None:
    mine = job(engine, NOON, audio=1800)
    step(engine, mine, "transcribe", 100, failures=2)
    step(engine, mine, "transcribe", 200, part=1, losses=1)
    step(engine, mine, "transcribe", 300, part=2)
    failed = job(engine, NOON + timedelta(days=1))
    step(engine, failed, "classify", 5, state="failed", error='{"code": "worker.lost"}')
    execute(
        engine,
        "UPDATE jobs SET status = 'failed', error = CAST(:error AS jsonb) WHERE id = :id",
        id=failed,
        error='{"code": "worker.lost"}',
    )
    other = job(engine, NOON, owner="other", audio=1800)
    step(engine, other, "transcribe", 0)
    job(engine, NOON - timedelta(days=9))

    stats = StatsStore(engine).read(NOON - timedelta(days=1), "me")
    assert stats.jobs == [
        JobCount("text", JobStatus.FAILED, 1),
        JobCount("text", JobStatus.QUEUED, 1),
    ]
    assert stats.stages == [
        StageStats("classify", 0, 1, None, None, None, 0, 0),
        StageStats("transcribe", 3, 0, 200, 290, 300, 2, 1),
    ]
    assert stats.errors == [ErrorCount("worker.lost", 1)]
    assert stats.days == [
        DayStats(date(2026, 11, 20), 1, 0, 0, 0, 0.5),
        DayStats(date(2026, 11, 21), 1, 0, 1, 0, 0),
    ]
    assert (stats.audio_hours, stats.real_time_factor) == (0.5, 600 / 1800)

    everybodys = StatsStore(engine).read(NOON - timedelta(days=1), None)
    assert everybodys.days[0].submitted == 2
    assert (everybodys.audio_hours, everybodys.real_time_factor) == (1.0, 600 / 3600)


def test_what_is_being_erased_is_not_counted(engine: sa.Engine) -> None:
    gone = job(engine, NOON)
    execute(engine, "UPDATE jobs SET erasing = true WHERE id = :id", id=gone)
    assert StatsStore(engine).read(NOON, "me").jobs == []
    assert StatsStore(engine).read(NOON, None).jobs == []


def test_nothing_is_no_error(engine: sa.Engine) -> None:
    stats = StatsStore(engine).read(NOON, None)
    assert (stats.jobs, stats.stages, stats.audio_hours) == ([], [], 0)
    assert stats.real_time_factor is None


def test_gauges(engine: sa.Engine) -> None:
    now = datetime.now(UTC)
    first = job(engine, now - timedelta(minutes=1))
    execute(engine, "UPDATE steps SET created_at = :at", at=now - timedelta(minutes=1))
    lost = '{"code": "worker.lost"}'
    step(engine, first, "classify", 1, state="failed", error=lost, losses=3, ended=now)
    step(engine, first, "transcribe", 1, failures=2, ended=now)
    step(engine, first, "fetch", 1, failures=5, ended=now - timedelta(hours=2))
    gauges = GaugeStore(engine).read()
    assert gauges.steps["cpu", StepState.READY] == 1
    assert gauges.steps["gpu", StepState.RUNNING] == 0
    assert 60 <= gauges.oldest_ready_seconds["cpu"] < 120
    assert gauges.oldest_ready_seconds["gpu"] == 0
    assert gauges.trouble["classify"].losses == 3
    assert gauges.trouble["classify"].quarantined == 1
    assert gauges.trouble["transcribe"].retries == 2
    assert "fetch" not in gauges.trouble, "that was long ago"


@pytest.mark.parametrize("read", ["gauges", "hanging"])
def test_what_is_asked_every_few_seconds_reads_no_finished_step(
    engine: sa.Engine, read: str
) -> None:
    """A table of finished steps grows for ever; these queries must not."""
    done = job(engine, NOON)
    execute(
        engine,
        "INSERT INTO steps (job_id, stage, part, parts, queue, state, output_key, finished_at)"
        " SELECT :job, 'classify', n, 20000, 'gpu', 'done', 'key', :at"
        " FROM generate_series(0, 19999) n",
        job=done,
        at=NOON,
    )
    execute(engine, "ANALYZE steps")
    plans: list[str] = []

    def explain(connection, cursor, statement, parameters, context, many):  # type: ignore[no-untyped-def]
        if "FROM steps" in statement:
            cursor.execute("EXPLAIN " + statement, parameters)
            plans.extend(row[0] for row in cursor.fetchall())

    sa.event.listen(engine, "before_cursor_execute", explain)
    {"gauges": GaugeStore(engine).read, "hanging": WorkerStore(engine).hanging}[read]()
    assert plans
    assert not [line for line in plans if "Seq Scan on steps" in line], "\n".join(plans)
