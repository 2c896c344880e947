"""What KEDA asks the database, asked of a real one."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from helm_chart import named, render

from app.db import create_db_engine
from app.jobs import StepState

ADD_JOB = """
INSERT INTO jobs (id, owner, kind, source, options, status)
VALUES (gen_random_uuid(), 'local', 'text', '-', '{}', 'running') RETURNING id
"""
ADD_STEPS = """
INSERT INTO steps (job_id, stage, part, parts, queue, state, output_key, lease_until)
SELECT :job, :queue || :state, part, :count, :queue, :state,
       CASE WHEN :state = 'done' THEN 'key' END, now()
  FROM generate_series(0, :count - 1) AS part
"""


@pytest.fixture
def engine(database: str) -> Iterator[sa.Engine]:
    engine = create_db_engine(database)
    yield engine
    engine.dispose()


def trigger(queue: str) -> dict[str, str]:
    """What a ScaledObject of the chart tells KEDA."""
    scaled = named(render("large"), "ScaledObject", f"emotion-clf-worker-{queue}")
    (only,) = scaled["spec"]["triggers"]
    return only["metadata"]


def add(engine: sa.Engine, queue: str, state: str, count: int) -> None:
    with engine.begin() as connection:
        job = connection.execute(sa.text(ADD_JOB)).scalar_one()
        row = {"job": job, "queue": queue, "state": state, "count": count}
        connection.execute(sa.text(ADD_STEPS), row)


def asked(engine: sa.Engine, queue: str) -> int:
    with engine.connect() as connection:
        return connection.execute(sa.text(trigger(queue)["query"])).scalar_one()


def test_ready_and_running_steps_of_the_queue_count(engine: sa.Engine) -> None:
    assert asked(engine, "cpu") == asked(engine, "gpu") == 0
    for state in StepState:
        add(engine, "gpu", state.value, 3)
    add(engine, "gpu", "running", 2)
    add(engine, "cpu", "ready", 7)
    assert asked(engine, "gpu") == 3 + 3 + 2
    assert asked(engine, "cpu") == 7


def test_a_worker_is_asked_to_do_as_much_as_it_does_at_a_time() -> None:
    assert trigger("gpu")["targetQueryValue"] == "1"
    assert trigger("cpu")["targetQueryValue"] == "4"  # workerCpu.concurrency of the large values


def test_what_is_done_is_not_read(engine: sa.Engine) -> None:
    add(engine, "gpu", "done", 20_000)
    add(engine, "gpu", "ready", 20)
    add(engine, "cpu", "running", 20)
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(sa.text("VACUUM ANALYZE steps"))
        query = f"EXPLAIN (FORMAT JSON) {trigger('gpu')['query']}"
        plan = json.dumps(connection.execute(sa.text(query)).scalar_one())
    assert "Seq Scan" not in plan
    assert "ix_steps_ready" in plan and "ix_steps_running" in plan
