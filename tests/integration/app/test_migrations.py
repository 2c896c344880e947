from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from alembic import command
from sqlalchemy.engine import make_url

from app.db import create_db_engine
from app.models import Base
from migrations.run import alembic_config, upgrade


@pytest.fixture
def empty_database(postgres_url: str) -> Iterator[str]:
    """The address of a database of this test's own."""
    admin = create_db_engine(postgres_url).execution_options(isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql("DROP DATABASE IF EXISTS migrations WITH (FORCE)")
        connection.exec_driver_sql("CREATE DATABASE migrations")
    yield make_url(postgres_url).set(database="migrations").render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.exec_driver_sql("DROP DATABASE migrations WITH (FORCE)")
    admin.dispose()


def tables(url: str) -> set[str]:
    engine = create_db_engine(url)
    found = set(sa.inspect(engine).get_table_names())
    engine.dispose()
    return found


def test_models_and_migrations_agree(empty_database: str) -> None:
    upgrade(empty_database)
    command.check(alembic_config(empty_database))


def test_an_upgrade_can_be_undone_and_repeated(empty_database: str) -> None:
    upgrade(empty_database)
    assert set(Base.metadata.tables) <= tables(empty_database)
    command.downgrade(alembic_config(empty_database), "base")
    assert tables(empty_database) == {"alembic_version"}
    upgrade(empty_database)
    upgrade(empty_database)


def test_processes_that_start_together_migrate_once(empty_database: str) -> None:
    from subprocess import run
    from sys import executable

    def migrate(number: int) -> int:
        code = f"from migrations.run import upgrade; upgrade({empty_database!r})"
        return run([executable, "-c", code], check=False).returncode

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(migrate, range(3))) == [0, 0, 0]
