"""Child processes: start, watch, restart, stop; none outlives its parent."""

from __future__ import annotations

import ctypes
import os
import signal as signals
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ml.errors import ServiceError

_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    """Ask Linux to end this child when its parent dies, even by SIGKILL."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signals.SIGTERM)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let no second Ctrl-C or SIGTERM cut short what must be finished, such as stopping."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    chosen = (signals.SIGINT, signals.SIGTERM)
    previous = {number: signals.signal(number, signals.SIG_IGN) for number in chosen}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signals.signal(number, handler)


class Child:
    """One child process in a session of its own, its output appended to a log file."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        stop_signal: str = "SIGTERM",
    ) -> None:
        self.name = name
        self.log = log
        self._command = list(command)
        self._environment = dict(environment or {})
        self._stop_signal = stop_signal
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id, None before the first start."""
        return self._process.pid if self._process else None

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process."""
        with self.log.open("ab") as log:
            # Its own session: Ctrl-C reaches the supervisor alone, which stops the children
            # in order. Started from the main thread, whose death is what the kernel reports.
            self._process = subprocess.Popen(
                self._command,
                env=os.environ | self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 (one thread)
            )

    def signal(self, name: str) -> None:
        """Send a signal if the process is alive."""
        if self._process and self.running:
            self._process.send_signal(signals.Signals[name])

    def stop(self, timeout: float, signal: str | None = None) -> None:
        """Ask the process to end; after ``timeout`` seconds end it and its children."""
        if self._process is None:
            return
        self.signal(signal or self._stop_signal)
        try:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout)
        finally:
            self._end_session()

    def _end_session(self) -> None:
        """Kill what is left of the session: pool children of a worker that hung."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signals.SIGKILL)
        self._process.wait()

    def last_lines(self, count: int = 5) -> str:
        """Return the end of the log, for an error message."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])


def wait_until(
    ready: Callable[[], bool], timeout: float, what: str, child: Child | None = None
) -> None:
    """Poll until ``ready``; raise ServiceError when the time is up or the child has ended."""
    deadline = time.monotonic() + timeout
    while not ready():
        if child is not None and not child.running:
            raise ServiceError(
                f"{what} ended at its start: {child.last_lines(1)}", hint=f"See {child.log}."
            )
        if time.monotonic() > deadline:
            raise ServiceError(f"{what} did not answer within {timeout:g} seconds.")
        time.sleep(0.05)


class Supervisor:
    """Keeps children alive: one that ends is started again, with growing pauses."""

    first_pause = 0.5
    longest_pause = 15.0
    healthy_after = 30.0

    def __init__(self) -> None:
        self.children: list[Child] = []
        self._started: dict[str, float] = {}
        self._pause: dict[str, float] = {}
        self._due: dict[str, float] = {}

    def add(self, child: Child) -> None:
        """Start a child and watch it from now on."""
        self.children.append(child)
        child.start()
        self._started[child.name] = time.monotonic()

    def tend(self) -> list[str]:
        """Start again whatever ended; return the names of those that were found ended."""
        now = time.monotonic()
        ended = []
        for child in self.children:
            if child.running:
                if now - self._started[child.name] > self.healthy_after:
                    self._pause.pop(child.name, None)
            elif child.name not in self._due:
                ended.append(child.name)
                pause = self._pause.get(child.name, self.first_pause)
                self._due[child.name] = now + pause
                self._pause[child.name] = min(pause * 2, self.longest_pause)
            elif now >= self._due[child.name]:
                del self._due[child.name]
                child.start()
                self._started[child.name] = now
        return ended

    def stop(self, timeout: float = 30.0) -> None:
        """Stop every child, all asked at once."""
        for child in self.children:
            child.signal("SIGTERM")
        for child in reversed(self.children):
            child.stop(timeout)
        self.children.clear()
