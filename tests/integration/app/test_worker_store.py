from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from app.db import create_db_engine
from app.jobs import JobError, NewJob
from app.stores.dispatch import DispatchStore
from app.stores.jobs import JobStore
from app.stores.steps import StepStore
from app.stores.workers import WorkerStore


def test_the_register(database: str) -> None:
    engine = create_db_engine(database)
    workers = WorkerStore(engine, timeout_seconds=10)
    assert workers.alive() == {"cpu": 0, "gpu": 0}
    workers.seen("gpu-1")
    assert workers.alive() == {"cpu": 0, "gpu": 0}, "it was never ready"
    workers.enter("gpu-1", "gpu", "host", 1)
    workers.enter("gpu-1", "gpu", "host", 1)
    workers.enter("gpu-2", "gpu", "host", 2)
    assert workers.alive() == {"cpu": 0, "gpu": 2}
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE workers SET seen_at = now() - interval '11 seconds'"))
    assert workers.alive() == {"cpu": 0, "gpu": 0}
    workers.seen("gpu-1")
    assert workers.alive() == {"cpu": 0, "gpu": 1}
    workers.leave("gpu-1")
    assert workers.alive() == {"cpu": 0, "gpu": 0}
    engine.dispose()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_any_spelling_of_the_address_reaches_the_database(database: str, scheme: str) -> None:
    rest = database.partition("://")[2]
    # SQLAlchemy knows no scheme "postgres".
    url = f"{scheme}://{rest}"
    engine = create_db_engine(url)
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT 1")).scalar_one() == 1
    engine.dispose()


@pytest.fixture
def engine(database: str) -> Iterator[sa.Engine]:
    engine = create_db_engine(database)
    yield engine
    engine.dispose()


@pytest.fixture
def workers(engine: sa.Engine) -> WorkerStore:
    """A register with one idle CPU worker that has been there for an hour."""
    workers = WorkerStore(engine, patience_seconds=20)
    workers.enter("cpu-1", "cpu", "host", 1)
    execute(engine, "UPDATE workers SET started_at = now() - interval '1 hour'")
    return workers


def execute(engine: sa.Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text(statement))


def waiting_step(engine: sa.Engine, seconds: float, sent: float | None = 0) -> int:
    """Submit a job whose first step has been ready, and its message sent, so long ago."""
    job = JobStore(engine).submit(NewJob("text", "Hello."))
    published = "NULL" if sent is None else f"now() - interval '{sent} seconds'"
    execute(
        engine,
        f"UPDATE steps SET created_at = now() - interval '{seconds} seconds',"
        f" published_at = {published} WHERE job_id = '{job.id}'",
    )
    with engine.connect() as connection:
        query = sa.text("SELECT id FROM steps WHERE job_id = :job")
        return int(connection.execute(query, {"job": job.id}).scalar_one())


def test_an_idle_worker_that_does_not_take_what_waits_hangs(
    engine: sa.Engine, workers: WorkerStore
) -> None:
    assert workers.hanging() == {}
    waiting_step(engine, seconds=10)
    assert workers.hanging() == {}, "it has not waited for long"
    # Its message was sent again just now, as it is whenever nobody takes it.
    waiting_step(engine, seconds=30, sent=0)
    assert workers.hanging() == {"cpu-1": "cpu"}
    workers.enter("gpu-1", "gpu", "host", 2)
    execute(engine, "UPDATE workers SET started_at = now() - interval '1 hour'")
    assert workers.hanging() == {"cpu-1": "cpu"}, "the other has another queue"
    execute(engine, "UPDATE workers SET seen_at = now() - interval '1 minute'")
    assert workers.hanging() == {}, "it is dead"


def test_a_busy_worker_does_not_hang_however_long_others_wait(
    engine: sa.Engine, workers: WorkerStore
) -> None:
    mine = waiting_step(engine, seconds=60)
    waiting_step(engine, seconds=60)
    steps = StepStore(engine)
    claim = steps.claim(mine, "cpu-1")
    assert claim is not None
    execute(engine, f"UPDATE steps SET started_at = now() - interval '1 hour' WHERE id = {mine}")
    assert workers.hanging() == {}
    steps.stop(claim)
    assert workers.hanging() == {}, "it has only just ended"
    execute(
        engine, f"UPDATE steps SET finished_at = now() - interval '21 seconds' WHERE id = {mine}"
    )
    assert workers.hanging() == {"cpu-1": "cpu"}


def test_a_worker_that_retries_or_has_just_come_does_not_hang(
    engine: sa.Engine, workers: WorkerStore
) -> None:
    mine = waiting_step(engine, seconds=60)
    waiting_step(engine, seconds=60)
    steps = StepStore(engine)
    claim = steps.claim(mine, "cpu-1")
    assert claim is not None
    steps.retry(claim, JobError("source.unreachable", "It did not answer.", "Wait."), 60)
    assert workers.hanging() == {}
    execute(engine, f"DELETE FROM steps WHERE id = {mine}")
    assert workers.hanging() == {"cpu-1": "cpu"}
    workers.enter("cpu-1", "cpu", "host", 1)
    assert workers.hanging() == {}, "it has loaded its models again"


def test_a_step_that_has_only_just_become_ready_again_is_nobodys_fault(
    engine: sa.Engine, workers: WorkerStore
) -> None:
    mine = waiting_step(engine, seconds=60)
    steps, dispatch = StepStore(engine), DispatchStore(engine)
    claim = steps.claim(mine, "cpu-2")
    assert claim is not None
    steps.retry(claim, JobError("source.unreachable", "It did not answer.", "Wait."), 0)
    assert dispatch.promote_waiting() == 1
    assert dispatch.publish(lambda step: None, []) == 1
    assert workers.hanging() == {}
    execute(
        engine,
        "UPDATE steps SET started_at = now() - interval '1 hour',"
        " available_at = now() - interval '30 seconds'",
    )
    assert workers.hanging() == {"cpu-1": "cpu"}


def test_what_no_dispatcher_sends_is_noticed(engine: sa.Engine, workers: WorkerStore) -> None:
    waiting_step(engine, seconds=10, sent=None)
    assert not workers.unsent()
    waiting_step(engine, seconds=30, sent=None)
    assert workers.unsent()
    assert workers.hanging() == {}, "there is no message to take"
