"""The connection to Postgres."""

from __future__ import annotations

from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import make_url

CONNECT_SECONDS = 5
STATEMENT_SECONDS = 30


def connection_url(database_url: str) -> str:
    """Return the address with the driver that is installed, whatever driver it named."""
    url = make_url(database_url).set(drivername="postgresql+psycopg2")
    return url.render_as_string(hide_password=False)


def create_db_engine(database_url: str, *, pool_size: int = 5) -> Engine:
    """Return an engine that notices dead connections and never waits for ever.

    ``pool_size`` connections stay open; as many again may be opened when all are busy.
    """
    return create_engine(
        connection_url(database_url),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=CONNECT_SECONDS,
        pool_pre_ping=True,
        pool_recycle=1800,
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
