from __future__ import annotations

import pytest
import sqlalchemy as sa

from app.db import create_db_engine
from app.worker_store import WorkerStore


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
