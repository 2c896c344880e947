"""From a request's body to the job that it asks for."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Request, json
from werkzeug.exceptions import UnsupportedMediaType

from app.api.errors import RequestInvalid, RequestMalformed
from app.api.identity import current_owner
from app.api.options import OPTIONS, Options
from app.api.problems import field_errors
from app.api.schemas import TextSubmission, UrlSubmission
from app.api.services import services
from app.api.uploads import FORM_TYPE, store_upload, title_of, uploaded_file
from app.jobs import Job, NewJob
from ml.errors import TextEmpty, TextTooLong
from ml.options import PipelineOptions

_TITLE_LENGTH = 80


def submit_json(request: Request) -> Job:
    """Submit the job that a JSON body asks for; raise what is wrong with it."""
    return services().jobs.submit(json_job(_object(request)))


def json_job(body: dict[str, Any]) -> NewJob:
    """Return the job that a JSON object describes; raise what is wrong with it."""
    if ("url" in body) == ("text" in body):
        raise RequestInvalid([{"field": "", "message": "Give exactly one of url and text."}])
    return _text_job(body) if "text" in body else _url_job(body)


def submit_upload(request: Request) -> Job:
    """Submit the job that a form with a recording asks for; raise what is wrong with it."""
    if request.mimetype != FORM_TYPE:
        raise UnsupportedMediaType
    upload = uploaded_file(request)
    options = _form_options(request.form.get("options"))
    artifacts = services().artifacts
    chosen, _ = _agreed(options)
    key = store_upload(upload, artifacts)
    new = NewJob(
        kind="upload",
        source=key,
        options=chosen,
        owner=current_owner(),
        title=title_of(upload.filename),
    )
    try:
        return services().jobs.submit(new)
    except Exception:
        artifacts.delete(key)
        raise


def sections(options: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return a client's options by section of the pipeline's options."""
    found: dict[str, dict[str, Any]] = {}
    for name, value in options.items():
        rule = OPTIONS[name]
        found.setdefault(rule.section, {})[rule.key or name] = value
    return found


def _agreed(options: dict[str, Any]) -> tuple[dict[str, dict[str, Any]], PipelineOptions]:
    """Return options by section, and what they come to with the operator's settings.

    Raises OptionInvalid where they contradict each other.
    """
    chosen = sections(options)
    return chosen, services().settings.pipeline_options(chosen)


def _url_job(body: dict[str, Any]) -> NewJob:
    given = _loaded(UrlSubmission(), body)
    chosen, _ = _agreed(given["options"])
    return NewJob(
        kind="url",
        source=given["url"],
        options=chosen,
        owner=current_owner(),
    )


def _text_job(body: dict[str, Any]) -> NewJob:
    given = _loaded(TextSubmission(), body)
    text = given["text"]
    # The store drops NUL characters, so they make no text.
    if not text.replace("\x00", "").strip():
        raise TextEmpty
    limit = services().settings.source.max_characters
    if len(text) > limit:
        raise TextTooLong(f"The text has {len(text)} characters; at most {limit} are accepted.")
    chosen, options = _agreed(given["options"])
    return NewJob(
        kind="text",
        source=text,
        options=chosen,
        owner=current_owner(),
        # A title would outlive what is taken out of the text.
        title=None if options.privacy.policies else _start_of(text),
    )


def _start_of(text: str) -> str:
    line = " ".join(text[: 4 * _TITLE_LENGTH].split())
    return line if len(line) <= _TITLE_LENGTH else f"{line[: _TITLE_LENGTH - 1]}…"


def _form_options(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        return _loaded(Options(), json.loads(text), "options")
    except (ValueError, RecursionError):
        message = "Must be a JSON object."
        raise RequestInvalid([{"field": "options", "message": message}]) from None


def _object(request: Request) -> dict[str, Any]:
    try:
        body = request.get_json()
    except RecursionError:
        raise RequestMalformed("The JSON is nested too deeply.") from None
    if not isinstance(body, dict):
        raise RequestInvalid([{"field": "", "message": "Must be a JSON object."}])
    return body


def _loaded(schema: ma.Schema, data: Any, prefix: str = "") -> dict[str, Any]:
    try:
        loaded: dict[str, Any] = schema.load(data)
    except ma.ValidationError as error:
        raise RequestInvalid(field_errors(error.messages, prefix)) from None
    return loaded
