"""Alembic's entry: connects to the database and runs the migrations."""

from __future__ import annotations

import os

from alembic import context

from app.db import create_db_engine
from app.models import Base

LOCK = 0x656D6F74
"""Key of the lock that lets one process migrate at a time."""


def _database_url() -> str:
    url = context.config.get_main_option("sqlalchemy.url") or os.environ.get("DATABASE_URL")
    if not url:
        raise SystemExit("Set DATABASE_URL to the database that shall be migrated.")
    return url


def run_online() -> None:
    """Run the migrations over a connection of their own."""
    engine = create_db_engine(_database_url(), pool_size=1)
    with engine.begin() as connection:
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
        context.configure(connection=connection, target_metadata=Base.metadata)
        context.run_migrations()
    engine.dispose()


if context.is_offline_mode():
    context.configure(
        dialect_name="postgresql",
        dialect_opts={"paramstyle": "named"},
        literal_binds=True,
        target_metadata=Base.metadata,
    )
    context.run_migrations()
else:
    run_online()
