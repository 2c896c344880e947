"""Where a worker's processes put temporary files, and how those of dead ones go away.

A process that is killed cannot tidy up, and its downloads and decoded audio would stay for
ever. So each process of a pool has a directory of its own below the system's temporary
directory, and holds a lock on it as long as it lives. What nobody holds is swept whenever a
process starts, also the one that replaces a dead one, and when a worker leaves. The kernel
gives locks up with their process, and unlike process ids they mean the same in every
container that shares the directory.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

PREFIX = "emotion-clf-worker-"


def move_in() -> None:
    """Give this process its directory; whatever it starts inherits it."""
    base = Path(tempfile.gettempdir())
    sweep(base)
    tempfile.tempdir = os.environ["TMPDIR"] = str(claim(base))


def claim(base: Path) -> Path:
    """Return a new directory that this process holds until it ends."""
    while True:
        directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
        # Somebody who sweeps may have come between.
        if _lock(directory) is not None and directory.exists():
            return directory


def sweep(base: Path) -> None:
    """Remove the directories whose processes have ended."""
    for directory in base.glob(f"{PREFIX}*"):
        lock = _lock(directory)
        if lock is not None:
            shutil.rmtree(directory, ignore_errors=True)
            os.close(lock)


def _lock(directory: Path) -> int | None:
    """Return the descriptor that holds the directory; None if another process does."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
