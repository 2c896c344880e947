"""Puts the application together."""

from __future__ import annotations

from flask import Flask

from app.api import (
    health,
    jobs,
    metrics,
    pages,
    predict,
    problems,
    request_log,
    security_headers,
    uploads,
)
from app.api.services import EXTENSION, Services
from app.api.spec import make_api
from app.settings import Settings

_MAX_FORM_PARTS = 10


def create_app(settings: Settings) -> Flask:
    """Return the application that ``settings`` describe. It connects when first asked."""
    app = Flask(__name__, static_folder=None, template_folder=None)
    app.request_class = uploads.UploadRequest
    app.config["MAX_CONTENT_LENGTH"] = uploads.json_limit(settings)
    app.config["MAX_FORM_PARTS"] = _MAX_FORM_PARTS
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.extensions[EXTENSION] = Services.of(settings)

    api = make_api(app)
    problems.register(app)
    security_headers.register(app)
    for module in (jobs, predict, health):
        api.register_blueprint(module.blueprint)
    request_log.register(app, metrics.register(app, api))
    app.register_blueprint(pages.blueprint)
    return app
