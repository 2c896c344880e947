"""Brings a database up to date: ``python -m migrations.run``."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config

HERE = Path(__file__).parent


def alembic_config(database_url: str | None = None) -> Config:
    """Return Alembic's configuration, wherever this package lies.

    Without an address the variable ``DATABASE_URL`` names the database.
    """
    config = Config(HERE / "alembic.ini")
    if database_url:
        # A percent sign in a password would be taken for interpolation.
        config.set_main_option("sqlalchemy.url", database_url.replace("%", "%%"))
    return config


def upgrade(database_url: str | None = None) -> None:
    """Apply every migration that the database lacks. Safe to call from several processes."""
    command.upgrade(alembic_config(database_url), "head")


if __name__ == "__main__":
    upgrade()
