"""The dispatcher over a real database and a real broker, in a thread of the test."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
import redis
import sqlalchemy as sa

from app.db import create_db_engine
from app.jobs import NewJob
from app.settings import Settings
from app.stores.jobs import JobStore
from app.stores.steps import StepStore
from workers.dispatcher import Dispatcher

TEXT = NewJob("text", "Hello.")


@pytest.fixture
def engine(database: str) -> Iterator[sa.Engine]:
    engine = create_db_engine(database)
    yield engine
    engine.dispose()


@pytest.fixture
def broker(redis_url: str) -> redis.Redis:
    broker = redis.Redis.from_url(redis_url)
    broker.flushall()
    return broker


@pytest.fixture
def dispatcher(database: str, redis_url: str, broker: redis.Redis) -> Iterator[Dispatcher]:
    settings = Settings.load(database_url=database, redis_url=redis_url)
    dispatcher = Dispatcher(settings)
    thread = threading.Thread(target=dispatcher.run)
    thread.start()
    until(lambda: bool(broker.keys()), 10)  # it has left its mark, so it is at work
    yield dispatcher
    dispatcher.stop()
    thread.join(10)
    assert not thread.is_alive()


def until(condition: Callable[[], bool], seconds: float) -> float:
    """Wait for a condition; return how long it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds
        time.sleep(0.002)
    return time.monotonic() - began


def disconnect_everybody(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        connection.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND application_name = 'emotion-clf'"
            )
        )


def test_a_submitted_job_rings_the_doorbell(
    engine: sa.Engine, broker: redis.Redis, dispatcher: Dispatcher
) -> None:
    jobs = JobStore(engine)
    latencies = []
    for number in range(10):
        jobs.submit(TEXT)
        latencies.append(until(lambda n=number: broker.llen("cpu") == n + 1, 5))
    assert sorted(latencies)[5] < 0.5, "it polled instead"


def test_everything_is_sent_again_after_a_flush(
    engine: sa.Engine, broker: redis.Redis, dispatcher: Dispatcher
) -> None:
    jobs = JobStore(engine)
    for _ in range(20):
        jobs.submit(TEXT)
    until(lambda: broker.llen("cpu") == 20, 5)
    broker.flushall()
    assert until(lambda: broker.llen("cpu") == 20, 5) < 3


def test_a_released_step_is_sent_at_once(
    engine: sa.Engine, broker: redis.Redis, dispatcher: Dispatcher
) -> None:
    JobStore(engine).submit(TEXT)
    until(lambda: broker.llen("cpu") == 1, 5)
    steps = StepStore(engine)
    with engine.connect() as connection:
        step = connection.execute(sa.text("SELECT id FROM steps")).scalar_one()
    assert steps.claim(step, "worker")
    steps.release("worker")
    until(lambda: broker.llen("cpu") == 2, 5)


def test_it_reconnects_to_the_database(
    engine: sa.Engine, broker: redis.Redis, dispatcher: Dispatcher
) -> None:
    disconnect_everybody(engine)
    JobStore(engine).submit(TEXT)
    until(lambda: broker.llen("cpu") == 1, 10)
    time.sleep(0.5)
    JobStore(engine).submit(TEXT)
    until(lambda: broker.llen("cpu") == 2, 10)


def test_a_thousand_steps_go_out_in_batches(
    engine: sa.Engine, broker: redis.Redis, dispatcher: Dispatcher
) -> None:
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO jobs (id, owner, kind, source, options) SELECT gen_random_uuid(),"
                " 'local', 'text', 'Hello.', '{}' FROM generate_series(1, 1100)"
            )
        )
        connection.execute(
            sa.text(
                "INSERT INTO steps (job_id, stage, part, parts, queue)"
                " SELECT id, 'segment', 0, 1, 'cpu' FROM jobs"
            )
        )
    until(lambda: broker.llen("cpu") == 1100, 30)
