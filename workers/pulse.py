"""The pulse of a process: a file that it touches as long as it does its work.

Whoever looks after processes, such as Docker or a kubelet, asks ``python -m workers.health``,
and that looks at the file's age. Nobody is asked: a database that is away would
otherwise have every worker taken for dead, and ten thousand workers would ask it all day.
"""

from __future__ import annotations

import os
import socket
import tempfile
import time
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)


class Pulse:
    """One process's own, or what is left of it."""

    def __init__(self, role: str) -> None:
        """``role``: cpu, gpu or dispatcher. A host, or a container, has one of each."""
        # Containers may share the directory, and so may users of one machine.
        name = f"pulse.emotion-clf.{role}.{socket.gethostname()}.{os.getuid()}"
        self._path = Path(tempfile.gettempdir(), name)
        self._writable = True

    def beat(self) -> None:
        """Say that the process does its work."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(self._path, flags, 0o600)
            os.utime(descriptor)
            os.close(descriptor)
        except OSError as error:
            if self._writable:
                log.error("pulse.not_written", error=error.strerror)
            self._writable = False

    def age(self) -> float | None:
        """Return how many seconds ago it beat last; None if it never did."""
        try:
            return max(0.0, time.time() - self._path.lstat().st_mtime)
        except OSError:
            return None

    def end(self) -> None:
        """Leave nothing behind."""
        self._path.unlink(missing_ok=True)
