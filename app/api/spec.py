"""The OpenAPI document, and the parts of it that views share."""

from __future__ import annotations

import http
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, TypeVar

from flask import Flask, Response
from flask_smorest import Api, Blueprint
from flask_smorest.spec import prepare_response
from werkzeug.exceptions import HTTPException

from app.api import problems, result_schema
from app.api.access import AccessPlugin
from app.api.batch_schemas import items_schema
from app.api.limits import LimitPlugin
from app.api.links import LinkPlugin
from app.api.options import policies_schema
from app.api.repeats import RepeatPlugin
from app.api.schemas import Problem
from app.api.services import EXTENSION

View = TypeVar("View", bound=Callable[..., Any])

OPENAPI_PATH = "/openapi.json"
_DESCRIPTION = """\
Send a link, a recording or text; get every sentence with its times, speaker and emotion.

Jobs run in the background: submit one, follow its status, fetch its result. Every error is
an RFC 9457 problem document (`application/problem+json`) with a stable `code` and a `hint`.
"""


class _ProblemApi(Api):  # type: ignore[misc]  # flask-smorest carries no types
    """flask-smorest with problem documents instead of its own errors."""

    ERROR_SCHEMA = Problem

    def handle_http_exception(self, error: HTTPException) -> Response:
        return problems.from_http_exception(error)

    def _register_responses(self) -> None:
        for status in http.HTTPStatus:
            if status >= 400:
                self._register_problem(status.name, status.phrase)
        self._register_problem(self.DEFAULT_ERROR_RESPONSE_NAME, "Any other error")

    def _register_problem(self, name: str, description: str) -> None:
        response = {"description": description, "schema": self.ERROR_SCHEMA}
        prepare_response(response, self.spec, problems.MEDIA_TYPE)
        self.spec.components.response(name, response, lazy=True)


def make_api(app: Flask) -> Api:
    """Attach the OpenAPI document to ``app``; blueprints registered with it appear there."""
    app.config.update(
        API_TITLE="emotion-clf",
        API_VERSION=version("emotion-clf"),
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX="/",
        OPENAPI_JSON_PATH=OPENAPI_PATH,
        API_SPEC_OPTIONS={
            "info": {"description": _DESCRIPTION, "license": {"name": "MIT", "identifier": "MIT"}}
        },
    )
    access = AccessPlugin(app.extensions[EXTENSION].settings.auth)
    plugins = [access, LimitPlugin(), RepeatPlugin(), LinkPlugin()]
    api = _ProblemApi(app, spec_kwargs={"extra_plugins": plugins})
    api.ma_plugin.converter.add_attribute_function(policies_schema)
    api.ma_plugin.converter.add_attribute_function(items_schema)
    result_schema.register(api.spec)
    return api


def fails_with(blueprint: Blueprint, *statuses: int) -> Callable[[View], View]:
    """Document the errors that a view answers with."""

    def decorate(view: View) -> View:
        for status in statuses:
            view = blueprint.alt_response(status, response=http.HTTPStatus(status).name)(view)
        return view

    return decorate


LOCATION = {"Location": {"description": "Address of the job", "schema": {"type": "string"}}}
PREFERENCE_APPLIED = {
    "Preference-Applied": {
        "description": "The wait that was granted, where one was asked for",
        "schema": {"type": "string"},
    }
}
