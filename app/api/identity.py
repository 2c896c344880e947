"""Who is asking: the one place that authentication will answer from."""

from __future__ import annotations

LOCAL_OWNER = "local"


def current_owner() -> str:
    """Return the owner of the jobs that the current request may see and create."""
    return LOCAL_OWNER
