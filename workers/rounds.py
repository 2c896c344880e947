"""Work that is done every few seconds beside the dispatcher's own, each in a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from workers.database import DatabaseAway

log = structlog.get_logger(__name__)


class Rounds:
    """Calls ``work`` again and again until it is told to stop.

    ``work`` returns whether it shall be called again at once, because more is waiting. What it
    raises is logged and ends the round, never the thread.
    """

    def __init__(self, name: str, work: Callable[[], bool], *, seconds: float) -> None:
        self._work = work
        self._seconds = seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """End after the call that runs, or leave it behind after ``timeout`` seconds."""
        self._stopping.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stopping.is_set():
            if not self._round():
                self._stopping.wait(self._seconds)

    def _round(self) -> bool:
        try:
            return self._work()
        except DatabaseAway as error:
            log.warning("database.away", error=type(error).__name__)
        except Exception:
            log.exception("round.defect", round=self._thread.name)
        return False
