"""Memory that was freed goes back to the system."""

from __future__ import annotations

import contextlib
import ctypes


def give_back() -> None:
    """Return to the system what the C library keeps of freed memory; only glibc can.

    A recogniser's batches leave hundreds of megabytes free that nobody else can use.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
