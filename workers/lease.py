"""Keeps a claimed step while it runs: a thread that renews its lease and hears of a cancel."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

import structlog

from app.errors import LeaseLost
from ml.errors import Cancelled
from workers.database import DatabaseAway

log = structlog.get_logger(__name__)


class Lease:
    """A context manager around the work on one step.

    ``renew`` is called about every ``interval`` seconds with the fraction done and a few
    words; it returns whether the step shall stop, and raises LeaseLost. While the database
    is away the work goes on: should the lease run out meanwhile, the fence keeps this
    worker from writing.
    """

    def __init__(self, renew: Callable[[float, str], bool], interval: float) -> None:
        self._renew = renew
        self._interval = interval
        self._report = (0.0, "")
        self._ended = threading.Event()
        self._cancelled = threading.Event()
        self._lost = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        # A heartbeat that hangs on a dead connection must not hold up the worker.
        self._thread.join(timeout=self._interval)

    def progress(self, fraction: float, detail: str) -> None:
        """Note how far the step is; the next renewal reports it."""
        self._report = (min(1.0, max(0.0, fraction)), detail)

    def check(self) -> None:
        """Raise LeaseLost or :class:`ml.errors.Cancelled` if the step shall stop."""
        if self._lost.is_set():
            raise LeaseLost
        if self._cancelled.is_set():
            raise Cancelled

    def _keep(self) -> None:
        while not self._ended.wait(self._interval):
            try:
                if self._renew(*self._report):
                    self._cancelled.set()
            except LeaseLost:
                self._lost.set()
                return
            except DatabaseAway as error:
                log.warning("lease.not_renewed", error=type(error).__name__)
