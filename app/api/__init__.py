"""The HTTP API: a Flask application that enqueues jobs and shows them. It loads no model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.api.factory import create_app

__all__ = ["create_app"]


def __getattr__(name: str) -> Any:
    # Loaded when it is used: gunicorn's configuration has something to do before.
    if name == "create_app":
        from app.api.factory import create_app

        return create_app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
