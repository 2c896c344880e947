"""The page at ``/`` and the API documentation at ``/docs``: files, and no other host."""

from __future__ import annotations

from pathlib import Path

import flask_swagger_ui
from flask import Blueprint, Response, redirect, send_from_directory
from werkzeug import Response as Redirect

blueprint = Blueprint("pages", __name__)

_WEB = Path(__file__).parent.parent / "web"
_SWAGGER_UI = Path(flask_swagger_ui.__file__).parent / "dist"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
# Swagger UI writes style attributes.
_SWAGGER_POLICY = _POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")


@blueprint.get("/")
def home() -> Response:
    """Return the page on which recordings are submitted and results are read."""
    return _file(_WEB, "index.html", _POLICY)


@blueprint.get("/web/<path:name>")
def web(name: str) -> Response:
    """Return a file of the page."""
    return _file(_WEB, name, _POLICY)


@blueprint.get("/docs")
def documentation() -> Response:
    """Return Swagger UI."""
    return _file(_WEB, "docs.html", _SWAGGER_POLICY)


@blueprint.get("/docs/")
def documentation_with_a_slash() -> Redirect:
    """Lead to the address that is published."""
    return redirect("/docs", 308)


@blueprint.get("/docs/<path:name>")
def swagger_ui(name: str) -> Response:
    """Return a file of Swagger UI's distribution."""
    return _file(_SWAGGER_UI, name, _SWAGGER_POLICY)


def _file(directory: Path, name: str, policy: str) -> Response:
    response = send_from_directory(directory, name)
    response.headers["Content-Security-Policy"] = policy
    # Browsers ask again, and are told that nothing changed.
    response.headers["Cache-Control"] = "no-cache"
    return response
