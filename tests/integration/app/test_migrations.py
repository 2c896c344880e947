from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy.engine import make_url

from app.db import create_db_engine
from app.models import Base, ask_for_tables
from migrations.run import HERE, alembic_config, upgrade

NEXT = """
from alembic import op
import sqlalchemy as sa

revision = "next"
down_revision = "{last}"

def upgrade():
    op.add_column("jobs", sa.Column("of_the_next_version", sa.Text))
"""


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


def test_a_database_that_is_newer_is_left_as_it_is(
    empty_database: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    last = ScriptDirectory.from_config(alembic_config(empty_database)).get_current_head()
    (tmp_path / "next.py").write_text(NEXT.format(last=last))
    newer = alembic_config(empty_database)
    newer.set_main_option("path_separator", "newline")
    newer.set_main_option("version_locations", f"{HERE / 'versions'}\n{tmp_path}")
    command.upgrade(newer, "head")

    upgrade(empty_database)

    assert "The database is newer, at next" in caplog.text
    engine = create_db_engine(empty_database)
    with engine.connect() as connection:
        version = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    assert version == "next"
    assert "of_the_next_version" in {one["name"] for one in sa.inspect(engine).get_columns("jobs")}
    ask_for_tables(engine)
    engine.dispose()


def test_processes_that_start_together_migrate_once(empty_database: str) -> None:
    from subprocess import run
    from sys import executable

    def migrate(number: int) -> int:
        code = f"from migrations.run import upgrade; upgrade({empty_database!r})"
        return run([executable, "-c", code], check=False).returncode

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(migrate, range(3))) == [0, 0, 0]
