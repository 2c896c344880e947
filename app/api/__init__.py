"""The HTTP API: a Flask application that enqueues jobs and shows them. It loads no model."""

from app.api.factory import create_app

__all__ = ["create_app"]
