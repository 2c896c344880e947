"""Processes that are started before the migration wait for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from app.db import create_db_engine
from migrations.run import upgrade


@pytest.fixture
def empty_url(postgres_url: str) -> Iterator[str]:
    """A database without tables."""
    server = create_db_engine(postgres_url).execution_options(isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(sa.text("CREATE DATABASE not_migrated"))
    yield make_url(postgres_url).set(database="not_migrated").render_as_string(hide_password=False)
    with server.connect() as connection:
        connection.execute(sa.text("DROP DATABASE not_migrated WITH (FORCE)"))
    server.dispose()


@pytest.mark.parametrize(
    ("module", "sign"),
    [(["workers.dispatcher"], "dispatcher.connected"), (["workers.main", "cpu"], " ready.")],
)
def test_it_begins_when_the_tables_are_there(
    module: list[str], sign: str, empty_url: str, redis_url: str, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    environment = {
        **os.environ,
        "DATABASE_URL": empty_url,
        "REDIS_URL": redis_url,
        "ARTIFACT_URL": f"file://{tmp_path}/artifacts",
        "TMPDIR": str(tmp_path),
    }
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *module],
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        wait_for(log, "tables.awaited")
        time.sleep(1.5)
        assert process.poll() is None
        role = module[-1].removeprefix("workers.")
        health = [sys.executable, "-m", "workers.health", role]
        assert subprocess.run(health, env=environment, check=False).returncode == 0
        upgrade(empty_url)
        wait_for(log, sign)
        time.sleep(2)  # a worker looks at the register at once
        assert process.poll() is None
        assert "crashed" not in log.read_text()
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(log: Path, words: str) -> None:
    deadline = time.monotonic() + 60
    while words not in log.read_text():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
