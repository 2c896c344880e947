"""Connections on which statements stand alone, and the ring that follows a submission."""

from __future__ import annotations

import select

import psycopg2
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import ProgrammingError

from app.db import create_db_engine, single_statements
from app.jobs import NewBatch, NewJob, NextStage, Output
from app.stores.batches import BatchStore
from app.stores.jobs import JobStore
from app.stores.steps import StepStore
from app.stores.wakeup import CHANNEL


@pytest.fixture
def engine(database):
    engine = create_db_engine(database, pool_size=1)
    yield engine
    engine.dispose()


def test_a_connection_knows_transactions_again_afterwards(engine):
    with engine.connect() as connection, single_statements(connection):
        connection.execute(sa.text("CREATE TABLE kept (x int)"))
    with engine.connect() as connection:
        connection.execute(sa.text("INSERT INTO kept VALUES (1)"))
        connection.rollback()
        assert connection.execute(sa.text("SELECT count(*) FROM kept")).scalar_one() == 0


def test_so_it_does_after_an_error(engine):
    with (
        pytest.raises(ProgrammingError),
        engine.connect() as connection,
        single_statements(connection),
    ):
        connection.execute(sa.text("SELECT * FROM nothing"))
    with engine.connect() as connection:
        assert connection.connection.driver_connection.autocommit is False


@pytest.fixture
def listener(database):
    url = sa.make_url(database).set(drivername="postgresql").render_as_string(hide_password=False)
    listener = psycopg2.connect(url)
    listener.autocommit = True
    with listener.cursor() as cursor:
        cursor.execute(f"LISTEN {CHANNEL}")
    yield listener
    listener.close()


def steps_when_it_rings(listener) -> list[tuple[int, str]]:
    """Wait for the ring; return the ready steps that are to be seen then."""
    assert select.select([listener], [], [], 5)[0]
    listener.poll()
    assert listener.notifies.pop().channel == CHANNEL
    with listener.cursor() as cursor:
        cursor.execute("SELECT id, stage FROM steps WHERE state = 'ready' ORDER BY id")
        return cursor.fetchall()


def test_who_listens_hears_of_a_job_that_is_committed(engine, listener):
    JobStore(engine).submit(NewJob(kind="text", source="It works!"))
    assert [stage for _, stage in steps_when_it_rings(listener)] == ["segment"]


def test_who_listens_hears_of_a_batch(engine, listener):
    jobs = tuple(NewJob(kind="text", source=text) for text in ("One.", "Two."))
    BatchStore(engine).submit(NewBatch(jobs))
    assert [stage for _, stage in steps_when_it_rings(listener)] == ["segment", "segment"]


def test_who_listens_hears_of_the_next_stage(engine, listener):
    JobStore(engine).submit(NewJob(kind="text", source="It works!"))
    ((step_id, _),) = steps_when_it_rings(listener)
    steps = StepStore(engine)
    claim = steps.claim(step_id, "worker")
    steps.finish(claim, Output("key"), NextStage("classify", "gpu", 1, 0.5))
    assert [stage for _, stage in steps_when_it_rings(listener)] == ["classify"]
