"""From a request's body to the job that it asks for."""

from __future__ import annotations

import uuid
from contextlib import suppress
from typing import Any

import marshmallow as ma
from flask import Request, g, json
from werkzeug.exceptions import UnsupportedMediaType

from app.api.errors import RequestInvalid, RequestMalformed, WebhookDisabled
from app.api.identity import current_owner
from app.api.limits import counted
from app.api.options import OPTIONS
from app.api.problems import field_errors
from app.api.repeats import answer_as_replay, repeatable
from app.api.schemas import Submission, TextSubmission, UrlSubmission
from app.api.services import services
from app.api.uploads import FORM_TYPE, digest_of, title_of, uploaded_file
from app.jobs import Callback, Job, NewJob, Origin
from app.storage import store_of
from app.tracing import current_traceparent
from ml.artifacts import ArtifactStore
from ml.errors import EmotionClfError, StoreUnavailable, TextEmpty, TextTooLong
from ml.options import PipelineOptions

_TITLE_LENGTH = 80
# Made once: a batch has a thousand of them.
_URL, _TEXT = UrlSubmission(), TextSubmission()


def submit_json(request: Request) -> Job:
    """Submit the job that a JSON body asks for; raise what is wrong with it."""
    body = json_object(request)
    return _submitted(json_job(body), body, uuid.uuid4())


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
    given = _form_fields(request)
    title = title_of(upload.filename)
    body = {**given, "file": digest_of(upload), "title": title}
    job_id = uuid.uuid4()
    chosen, _ = _agreed(given["options"])
    new = _new_job(given, chosen, kind="upload", source=f"uploads/{job_id.hex}", title=title)
    artifacts = store_of(new.owner, services().artifacts)
    artifacts.write_stream(new.source, upload.stream)
    try:
        job = _submitted(new, body, job_id)
    except EmotionClfError:
        _drop(artifacts, new.source)
        raise
    # Any other error, such as a connection that breaks at the commit, leaves open whether there
    # is a job. The file stays for it; without one it expires.
    if job.id != job_id:
        _drop(artifacts, new.source)
    return job


def _drop(artifacts: ArtifactStore, key: str) -> None:
    """Remove an upload that no job needs; where the store is away it expires."""
    with suppress(StoreUnavailable):
        artifacts.delete(key)


def _submitted(new: NewJob, body: dict[str, Any], job_id: uuid.UUID) -> Job:
    """Submit a job under an identifier, or return the one that the same request has made."""
    job = services().jobs.submit(new, repeatable(body), job_id=job_id, counted=counted())
    if job.id != job_id:
        answer_as_replay()
    return job


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


def _new_job(given: dict[str, Any], chosen: dict[str, dict[str, Any]], **members: Any) -> NewJob:
    """Return a job with the options chosen and what else may come with every submission."""
    return NewJob(
        options=chosen,
        owner=current_owner(),
        callback=callback_of(given),
        origin=Origin(g.request_id, current_traceparent()),
        **members,
    )


def callback_of(given: dict[str, Any]) -> Callback | None:
    """Return where a submission wants its end reported; raise what is wrong with that."""
    url, with_result = given.get("callback_url"), given.get("callback_result", False)
    if url is None:
        if with_result:
            message = "Give callback_url too."
            raise RequestInvalid([{"field": "callback_result", "message": message}])
        return None
    if services().settings.webhooks.secret is None:
        raise WebhookDisabled
    return Callback(url, with_result)


def _url_job(body: dict[str, Any]) -> NewJob:
    given = loaded(_URL, body)
    chosen, _ = _agreed(given["options"])
    return _new_job(given, chosen, kind="url", source=given["url"])


def _text_job(body: dict[str, Any]) -> NewJob:
    given = loaded(_TEXT, body)
    text = given["text"]
    # The store drops NUL characters, so they make no text.
    if not text.replace("\x00", "").strip():
        raise TextEmpty
    limit = services().settings.source.max_characters
    if len(text) > limit:
        raise TextTooLong(f"The text has {len(text)} characters; at most {limit} are accepted.")
    chosen, options = _agreed(given["options"])
    # A title would outlive what is taken out of the text.
    title = None if options.privacy.policies else _start_of(text)
    return _new_job(given, chosen, kind="text", source=text, title=title)


def _start_of(text: str) -> str:
    line = " ".join(text[: 4 * _TITLE_LENGTH].split())
    return line if len(line) <= _TITLE_LENGTH else f"{line[: _TITLE_LENGTH - 1]}…"


def _form_fields(request: Request) -> dict[str, Any]:
    """Return the fields of a form beside the recording; all but the address hold JSON."""
    given: dict[str, Any] = request.form.to_dict()
    for name in given.keys() - {"callback_url"}:
        try:
            given[name] = json.loads(given[name])
        except (ValueError, RecursionError):
            raise RequestInvalid([{"field": name, "message": "Must be JSON."}]) from None
    return loaded(Submission(), given)


def json_object(request: Request) -> dict[str, Any]:
    """Return the JSON object in a body; raise what is wrong with it."""
    try:
        body = request.get_json()
    except RecursionError:
        raise RequestMalformed("The JSON is nested too deeply.") from None
    if not isinstance(body, dict):
        raise RequestInvalid([{"field": "", "message": "Must be a JSON object."}])
    return body


def loaded(schema: ma.Schema, data: Any, prefix: str = "") -> dict[str, Any]:
    """Return what ``schema`` reads from ``data``; raise RequestInvalid, fields below ``prefix``."""
    try:
        found: dict[str, Any] = schema.load(data)
    except ma.ValidationError as error:
        raise RequestInvalid(field_errors(error.messages, prefix)) from None
    return found
