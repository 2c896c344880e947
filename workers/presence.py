"""A worker's place in the register: it says that it lives, and leaves in good order."""

from __future__ import annotations

import threading
import time

import structlog

from app.dispatch_store import DispatchStore
from app.step_store import StepStore
from app.worker_store import WorkerStore
from workers.database import DatabaseAway

INTERVAL_SECONDS = 3.0
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
        drain_seconds: float,
    ) -> None:
        self.worker = worker
        self._workers = workers
        self._steps = steps
        self._dispatch = dispatch
        self._drain_seconds = drain_seconds
        self._ended = threading.Event()

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
                log.error("step.worker_lost", step=step_id)
        except DatabaseAway as error:
            log.warning("step.worker_lost", step=step_id, error=type(error).__name__)

    def leave(self) -> None:
        """Leave the register, and give back what is still held."""
        self._ended.set()
        try:
            self._steps.release(self.worker)
            self._workers.leave(self.worker)
        except DatabaseAway as error:
            log.warning("presence.not_left", error=type(error).__name__)

    def _speak(self) -> None:
        while not self._ended.is_set():
            try:
                self._workers.seen(self.worker)
            except DatabaseAway as error:
                log.warning("presence.not_seen", error=type(error).__name__)
            self._ended.wait(INTERVAL_SECONDS)

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
