"""Sends ready steps to the queues, and takes steps from dead workers.

Started by ``python -m workers.dispatcher``. It holds nothing in memory that matters: it may
be killed at any moment, run several times over, and lose the database or the broker for as
long as it likes.
"""

from __future__ import annotations

import select
import signal
import sys
import threading
import time
from types import FrameType
from typing import Any

import structlog
from sqlalchemy import Connection, Engine

from app.db import create_db_engine
from app.jobs import Step
from app.logging import configure_logging
from app.queue import Broker, BrokerUnavailable
from app.settings import Settings
from app.stores.dispatch import BATCH, DispatchStore
from app.stores.wakeup import CHANNEL
from ml.errors import EmotionClfError
from workers.database import DatabaseAway, await_tables
from workers.janitor import janitor_rounds
from workers.pulse import Pulse
from workers.rounds import Rounds
from workers.webhooks import webhook_rounds

POLL_SECONDS = 1.0
"""How often the clock is looked at: leases, retries, messages that were lost."""
GRACE_SECONDS = 3.0
"""After an outage of the database, how long live workers have to renew their leases."""
log = structlog.get_logger(__name__)


class Doorbell:
    """Waits for notifications of Postgres."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None

    def connect(self) -> None:
        """Start to listen."""
        self.close()
        connection = self._engine.connect()
        self._connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        self._connection.exec_driver_sql(f"LISTEN {CHANNEL}")

    def wait(self, seconds: float) -> None:
        """Return when it rings, or after this time."""
        if self._connection is None:
            raise RuntimeError("not connected")
        driver: Any = self._connection.connection.driver_connection
        if select.select([driver], [], [], seconds)[0]:
            driver.poll()
            driver.notifies.clear()

    def close(self) -> None:
        """Stop to listen; the connection may be dead already."""
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None


class Dispatcher:
    """The loop of one dispatcher process."""

    def __init__(self, settings: Settings) -> None:
        self._engine = create_db_engine(settings.database_url, pool_size=2)
        self._store = DispatchStore(
            self._engine,
            max_attempts=settings.jobs.max_attempts,
            republish_seconds=settings.jobs.republish_seconds,
        )
        self._broker = Broker(settings.redis_url)
        self._doorbell = Doorbell(self._engine)
        self._pulse = Pulse("dispatcher")
        self._stopping = threading.Event()
        self._next_look = 0.0
        self._revive_from = 0.0

    def stop(self) -> None:
        """End :meth:`run` within a second."""
        self._stopping.set()

    def await_tables(self) -> None:
        """Return once the database is up to date, or after :meth:`stop`."""
        await_tables(self._engine, self._stopping, self._pulse)

    def run(self) -> None:
        """Dispatch until :meth:`stop` is called."""
        while not self._stopping.is_set():
            try:
                self._doorbell.connect()
                self._revive_from = time.monotonic() + GRACE_SECONDS
                log.info("dispatcher.connected")
                self._serve()
            except DatabaseAway as error:
                log.warning("database.away", error=type(error).__name__)
                # To start it again would not help.
                self._pulse.beat()
                self._stopping.wait(POLL_SECONDS / 2)
        self._pulse.end()
        self._doorbell.close()
        self._broker.close()

    def _serve(self) -> None:
        while not self._stopping.is_set():
            due = time.monotonic() >= self._next_look
            if due:
                self._next_look = time.monotonic() + POLL_SECONDS
                self._pulse.beat()
                self._look_at_clock()
            try:
                self._send(lost_too=due)
            except BrokerUnavailable as error:
                log.warning("broker.away", error=type(error).__name__)
                self._stopping.wait(POLL_SECONDS)
            self._doorbell.wait(max(0.0, self._next_look - time.monotonic()))

    def _look_at_clock(self) -> None:
        """Do what is due by time rather than by event."""
        self._store.promote_waiting()
        if time.monotonic() >= self._revive_from:
            revived = self._store.revive_expired()
            if revived:
                log.warning("steps.revived", steps=revived)

    def _send(self, *, lost_too: bool) -> None:
        """Send what must be sent, batch by batch."""
        if not self._broker.remembers():
            # Forget first: a crash in between only repeats this.
            forgotten = self._store.forget_published()
            self._broker.remember()
            log.warning("broker.forgot", steps=forgotten)
        empty = self._broker.empty_queues() if lost_too else None
        while self._store.publish(self._send_step, empty) == BATCH:
            pass

    def _send_step(self, step: Step) -> None:
        self._broker.send(step.id, step.queue)


def create_rounds(settings: Settings) -> tuple[Rounds, ...]:
    """Return what is done beside dispatching; several dispatchers share this work too."""
    return (*janitor_rounds(settings), *webhook_rounds(settings))


def main() -> int:
    """Run a dispatcher until SIGINT or SIGTERM."""
    try:
        settings = Settings.load()
    except EmotionClfError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    configure_logging(settings.log_level, "dispatcher")
    dispatcher = Dispatcher(settings)

    def stop(number: int, frame: FrameType | None) -> None:
        dispatcher.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    dispatcher.await_tables()
    rounds = create_rounds(settings)
    for each in rounds:
        each.start()
    dispatcher.run()
    for each in rounds:
        each.stop(timeout=0)  # all of them hear of it before one is waited for
    for each in rounds:
        each.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
