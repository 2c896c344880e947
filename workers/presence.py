"""A worker's place in the register: it says that it lives, and leaves in good order.

It also notices when the worker hangs: when messages wait, its processes are idle, and it does not
take any. Then the worker ends, for whoever supervises it to start another.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress

import structlog

from app.queue import Broker, BrokerUnavailable
from app.stores.dispatch import DispatchStore
from app.stores.steps import StepStore
from app.stores.workers import WorkerStore
from workers.database import DatabaseAway
from workers.memory import descendants
from workers.pulse import Pulse

INTERVAL_SECONDS = 3.0
EXIT_HUNG = 75
"""EX_TEMPFAIL: start it again."""
log = structlog.get_logger(__name__)


class Presence:
    """Speaks for one worker process, from a thread of its parent.

    The parent holds no model and runs no step, so it stays able to speak whatever its
    children do, and it learns first when one of them dies.
    """

    def __init__(
        self,
        worker: str,
        *,
        workers: WorkerStore,
        steps: StepStore,
        dispatch: DispatchStore,
        broker: Broker,
        pulse: Pulse,
        drain_seconds: float,
        patience_seconds: float,
    ) -> None:
        """``patience_seconds``: how long it may hang, seen from a broker that answers."""
        self.worker = worker
        self._workers = workers
        self._steps = steps
        self._dispatch = dispatch
        self._broker = broker
        self._pulse = pulse
        self._drain_seconds = drain_seconds
        self._patience_seconds = patience_seconds
        self._ended = threading.Event()
        self.losses = 0
        """How many children died with a step."""

    def start(self) -> None:
        """Keep the worker's entry in the register fresh until :meth:`leave`."""
        threading.Thread(target=self._speak, name="presence", daemon=True).start()

    def drain(self) -> None:
        """Give the steps back when the time to finish them is over; returns at once."""
        threading.Thread(target=self._drain, name="drain", daemon=True).start()

    def lose(self, step_id: int) -> None:
        """Take a step from a child that died, without waiting for its lease to end."""
        try:
            if self._dispatch.lose(step_id, self.worker):
                self.losses += 1
                log.error("step.worker_lost", step=step_id, worker=self.worker)
        except DatabaseAway as error:
            log.warning("step.worker_lost", step=step_id, error=type(error).__name__)

    def leave(self) -> None:
        """Leave the register, and give back what is still held."""
        self._ended.set()
        self._pulse.end()
        try:
            self._steps.release(self.worker)
            self._workers.leave(self.worker)
        except DatabaseAway as error:
            log.warning("presence.not_left", error=type(error).__name__)

    def _speak(self) -> None:
        hung_since: float | None = None
        while not self._ended.is_set():
            try:
                ready = self._workers.seen(self.worker)
                hung_since = (hung_since or time.monotonic()) if self._hangs() else None
                if ready and hung_since is None:
                    self._beat()
            except DatabaseAway as error:
                log.warning("presence.not_seen", error=type(error).__name__)
                # To start it again would not help.
                self._beat()
            if hung_since is not None and time.monotonic() - hung_since > self._patience_seconds:
                self._give_up()
            self._ended.wait(INTERVAL_SECONDS)

    def _beat(self) -> None:
        self._pulse.beat()
        if self._ended.is_set():
            # It left meanwhile, perhaps before this beat.
            self._pulse.end()

    def _hangs(self) -> bool:
        """Whether it does not take what waits, although a connection of its own would."""
        if self.worker not in self._workers.hanging():
            return False
        try:
            self._broker.ping()
        except BrokerUnavailable:
            # Then no worker can take anything, and another one could not either.
            return False
        return True

    def _give_up(self) -> None:
        """End the worker at once; what hangs would not hear of an orderly end."""
        if self._ended.is_set():
            return
        log.critical("worker.hung", worker=self.worker)
        self.leave()
        for pid in set(descendants(os.getpid())):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        os._exit(EXIT_HUNG)

    def _drain(self) -> None:
        deadline = time.monotonic() + self._drain_seconds
        while not self._ended.wait(max(0.0, min(1.0, deadline - time.monotonic()))):
            if time.monotonic() < deadline:
                continue
            try:
                released = self._steps.release(self.worker)
                log.info("drain.released", steps=released)
            except DatabaseAway as error:
                log.warning("drain.not_released", error=type(error).__name__)
            deadline += 1.0
