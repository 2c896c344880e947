"""Patience with the database: a restart of Postgres is waited for, not failed on."""

from __future__ import annotations

import threading

import psycopg2
import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_delay,
    wait_random_exponential,
)

from app.models import ask_for_tables
from workers.pulse import Pulse

DatabaseAway = (
    OperationalError,
    InterfaceError,
    PoolTimeout,
    psycopg2.OperationalError,
    psycopg2.InterfaceError,
)
"""What SQLAlchemy raises when the server restarts, is gone, or broke a deadlock, and what
the driver raises where it is asked directly."""

PATIENCE_SECONDS = 300
LOOK_SECONDS = 1.0
log = structlog.get_logger(__name__)


def _log_attempt(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    log.warning("database.away", attempt=state.attempt_number, error=type(error).__name__)


def patiently() -> Retrying:
    """Return a caller that repeats a call while the database is away: ``patiently()(f, x)``.

    Only for calls that may be repeated when their reply was lost; those of the stores may.
    """
    return Retrying(
        retry=retry_if_exception_type(DatabaseAway),
        wait=wait_random_exponential(multiplier=0.2, max=3.0),
        stop=stop_after_delay(PATIENCE_SECONDS),
        before_sleep=_log_attempt,
        reraise=True,
    )


def await_tables(engine: Engine, stopping: threading.Event, pulse: Pulse) -> None:
    """Return once the database is there and up to date, or when ``stopping`` is set.

    Where everything is started at the same time, the migration comes some seconds later. While
    it waits the ``pulse`` beats: to start the process again would bring no database.
    """
    told = False
    while not stopping.is_set():
        try:
            ask_for_tables(engine)
            return
        except SQLAlchemyError as error:
            if not told:
                log.warning("tables.awaited", error=type(error).__name__)
            told = True
            pulse.beat()
            stopping.wait(LOOK_SECONDS)
