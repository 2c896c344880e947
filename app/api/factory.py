"""Puts the application together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from app.api import (
    access,
    auth,
    batches,
    cors,
    deliveries,
    events,
    health,
    jobs,
    limits,
    loopback,
    metrics,
    pages,
    predict,
    problems,
    request_log,
    security_headers,
    stats,
    uploads,
)
from app.api.services import EXTENSION, Services
from app.api.spec import make_api
from app.settings import Settings
from app.tracing import start_tracing

_MAX_FORM_PARTS = 10
_MAX_FORM_MEMORY = 256 * 1024
"""Bytes of a form in memory: its fields, and werkzeug's buffer of 64 KiB twice."""


class _Application(Flask):
    """Flask, of which no view and no hook is asynchronous."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``func``; Flask looks into its code first, fifteen times in each request."""
        return func


def create_app(settings: Settings) -> Flask:
    """Return the application that ``settings`` describe. It connects when first asked.

    Raises :class:`ml.errors.SettingInvalid` where settings contradict each other, and
    :class:`ml.errors.ExtraMissing` where they ask for what is not installed.
    """
    loopback.check_proxies(settings)
    start_tracing(settings.tracing.endpoint, "api")
    app = _Application(__name__, static_folder=None, template_folder=None)
    app.request_class = uploads.UploadRequest
    app.config["MAX_CONTENT_LENGTH"] = uploads.json_limit(settings)
    app.config["MAX_FORM_PARTS"] = _MAX_FORM_PARTS
    app.config["MAX_FORM_MEMORY_SIZE"] = _MAX_FORM_MEMORY
    _trust_proxies(app, settings.api.trusted_proxies)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.extensions[EXTENSION] = Services.of(settings)

    api = make_api(app)
    problems.register(app)
    security_headers.register(app)
    cors.register(app, settings.api.cors_origins)
    for module in (jobs, events, deliveries, batches, predict, health, stats):
        api.register_blueprint(module.blueprint)
    auth.register(api, settings.auth)
    request_log.register(app, metrics.register(app, api))
    # In this order: who is let in, and who that is, before anything else looks at a request.
    loopback.register(app, settings)
    access.register(app, settings.auth)
    limits.register(app, settings, app.extensions[metrics.EXTENSION_REGISTRY])
    app.register_blueprint(pages.blueprint)
    return app


def _trust_proxies(app: Flask, hops: int) -> None:
    """Believe what the nearest ``hops`` reverse proxies say of whom they ask for."""
    if hops:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
