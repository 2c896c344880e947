"""The dispatcher's doorbell: a notification that Postgres sends when a transaction commits."""

from __future__ import annotations

from sqlalchemy import Connection, text

CHANNEL = "emotion_clf_steps"


def notify(connection: Connection) -> None:
    """Wake the dispatchers when this transaction commits."""
    connection.execute(text(f"NOTIFY {CHANNEL}"))
