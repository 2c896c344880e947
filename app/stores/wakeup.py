"""The dispatcher's doorbell: a notification that Postgres sends when a transaction commits."""

from __future__ import annotations

from contextlib import suppress

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from app.db import single_statements

CHANNEL = "emotion_clf_steps"
_NOTIFY = f"NOTIFY {CHANNEL}"


def notify(connection: Connection) -> None:
    """Wake the dispatchers when this transaction commits."""
    connection.execute(text(_NOTIFY))


def ring(connection: Connection) -> None:
    """Wake the dispatchers now: what they shall find is committed, and the connection is idle.

    Postgres lets those transactions that notify commit one after the other, each with its own
    write to the disk, so many clients submit faster where the ring comes after the commit. If it
    fails, what was committed stands: the dispatchers look by themselves within a second.
    """
    with suppress(SQLAlchemyError), single_statements(connection):
        connection.exec_driver_sql(_NOTIFY)
