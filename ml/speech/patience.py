"""Waiting for work that cannot be interrupted, without waiting for it when told to stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from ml.errors import SpeechTimeout

T = TypeVar("T")

_CHECK_SECONDS = 0.2


class Patience:
    """The time that all of one recognition may take, and the caller's wish to stop it.

    One pass of a large model takes many seconds on a busy processor, one request to a distant
    service as long as the network likes. Each runs in a thread of its own; when the caller
    cancels or time is up, that thread is left to finish.

    Args:
        check: called five times a second while something is waited for; raises to stop.
        timeout: seconds from now until SpeechTimeout.
        daemon: whether the interpreter may end while such a thread still runs. Right for a
            request; native code that is still running then would abort the process.

    """

    def __init__(self, check: Callable[[], None], timeout: float, *, daemon: bool = False) -> None:
        self._check = check
        self._deadline = time.monotonic() + timeout
        self._daemon = daemon

    @property
    def left(self) -> float:
        """Seconds until time is up; below 0 afterwards."""
        return self._deadline - time.monotonic()

    def run(self, work: Callable[[], T]) -> T:
        """Return what ``work`` returns; raise what it or ``check`` raises, or SpeechTimeout."""
        results: list[T] = []
        errors: list[BaseException] = []

        def target() -> None:
            try:
                results.append(work())
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=target, name="transcribe", daemon=self._daemon)
        thread.start()
        while thread.is_alive():
            self.look()
            thread.join(_CHECK_SECONDS)
        if errors:
            raise errors[0]
        return results[0]

    def sleep(self, seconds: float) -> None:
        """Return after some seconds; raise what ``check`` raises, or SpeechTimeout."""
        end = time.monotonic() + seconds
        while (rest := end - time.monotonic()) > 0:
            self.look()
            time.sleep(min(rest, _CHECK_SECONDS))

    def look(self) -> None:
        """Raise what ``check`` raises, or SpeechTimeout; for work to stop by itself."""
        self._check()
        if self.left < 0:
            raise SpeechTimeout()
