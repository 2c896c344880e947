"""The connection to Postgres."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import ExceptionContext, make_url
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

CONNECT_SECONDS = 5
STATEMENT_SECONDS = 30
_TRUSTED_SECONDS = 1.0
_USED = "used_at"


def connection_url(database_url: str) -> str:
    """Return the address with the driver that is installed, whatever driver it named."""
    url = make_url(database_url).set(drivername="postgresql+psycopg2")
    return url.render_as_string(hide_password=False)


def create_db_engine(database_url: str, *, pool_size: int = 5) -> Engine:
    """Return an engine that notices dead connections and never waits for ever.

    ``pool_size`` connections stay open; as many again may be opened when all are busy.
    """
    engine = create_engine(
        connection_url(database_url),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=CONNECT_SECONDS,
        pool_recycle=1800,
        # Errors end up in logs, and parameters are users' texts and links.
        hide_parameters=True,
        connect_args={
            "connect_timeout": CONNECT_SECONDS,
            "application_name": "emotion-clf",
            "options": f"-c statement_timeout={STATEMENT_SECONDS * 1000} -c timezone=utc",
            # Without these a connection that a firewall dropped would hang for two hours.
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": STATEMENT_SECONDS * 1000,
        },
    )
    event.listen(engine, "handle_error", _withhold_details)
    event.listen(engine, "checkin", _note_use)
    event.listen(engine, "checkout", _ping_after_a_pause)
    return engine


@contextmanager
def single_statements(connection: Connection) -> Iterator[None]:
    """Let each statement on a connection that is in no transaction stand alone meanwhile.

    A read is one round trip then, not three. SQLAlchemy's own isolation level AUTOCOMMIT would be
    two: it sets the server's default again when the connection goes back to the pool.
    """
    driver: Any = connection.connection.driver_connection
    driver.autocommit = True
    try:
        yield
    finally:
        if not driver.closed:
            driver.autocommit = False


def _note_use(connection: Any, record: ConnectionPoolEntry) -> None:
    record.info[_USED] = time.monotonic()


def _ping_after_a_pause(connection: Any, record: ConnectionPoolEntry, proxy: Any) -> None:
    """Have the pool replace a dead connection, unless it was alive a moment ago.

    SQLAlchemy's own ``pool_pre_ping`` asks each time, which doubles the round trips of a read.
    """
    if time.monotonic() - record.info.get(_USED, 0.0) < _TRUSTED_SECONDS:
        return
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        connection.rollback()
    except psycopg2.Error as error:
        raise DisconnectionError from error


def _withhold_details(context: ExceptionContext) -> None:
    """Cut an error down to what happened: Postgres adds the row that it happened to."""
    driver, wrapped = context.original_exception, context.sqlalchemy_exception
    message = getattr(getattr(driver, "diag", None), "message_primary", None)
    if message is None:
        return
    driver.args = (message,)
    if wrapped is not None:
        wrapped.args = (f"({type(driver).__name__}) {message}",)
