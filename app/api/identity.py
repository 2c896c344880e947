"""Who is asking. :mod:`app.api.access` finds out before any view is called."""

from __future__ import annotations

from flask import g

from app.auth import Identity
from app.errors import TokenMissing


def identify(identity: Identity) -> None:
    """Note who sent the current request."""
    g.identity = identity


def current_identity() -> Identity:
    """Return who sent the current request; raise where nobody asked for a token."""
    identity: Identity | None = g.get("identity")
    if identity is None:
        raise TokenMissing
    return identity


def current_owner() -> str:
    """Return the owner of the jobs that the current request may see and create."""
    return current_identity().owner
