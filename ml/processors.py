"""How many processors there are to use."""

from __future__ import annotations

import os


def cores() -> int:
    """Return how many cores this process may use, which in a container is fewer than exist."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
