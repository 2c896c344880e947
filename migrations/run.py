"""Brings a database up to date: ``python -m migrations.run``."""

from __future__ import annotations

import logging
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script.revision import ResolutionError
from alembic.util import CommandError

log = logging.getLogger(__name__)
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
    """Apply every migration that the database lacks. Safe to call from several processes.

    A database that is newer stays as it is: this version works with it, as migrations only add.
    """
    try:
        command.upgrade(alembic_config(database_url), "head")
    except CommandError as error:
        unknown = error.__cause__
        if not isinstance(unknown, ResolutionError):
            raise
        log.warning("The database is newer, at %s: nothing to do.", unknown.argument)


if __name__ == "__main__":
    upgrade()
