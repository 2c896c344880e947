"""From a request's body to the batch that it asks for."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flask import Request

from app.api.batch_schemas import BatchSubmission, Label
from app.api.errors import RequestInvalid
from app.api.identity import current_owner
from app.api.limits import counted
from app.api.repeats import answer_as_replay, repeatable
from app.api.services import services
from app.api.submissions import callback_of, json_job, json_object, loaded, sections
from app.jobs import Batch, NewBatch, NewJob
from ml.errors import EmotionClfError

_LABEL = Label()


def submit_batch(request: Request) -> Batch:
    """Submit the batch that a JSON body asks for; raise what is wrong with it."""
    body = json_object(request)
    batch_id = uuid.uuid4()
    batch = services().batches.submit(
        _json_batch(body),
        repeatable(body),
        batch_id=batch_id,
        counted=counted(),
    )
    if batch.id != batch_id:
        answer_as_replay()
    return batch


def _json_batch(body: dict[str, Any]) -> NewBatch:
    """Return the batch that a JSON object describes; raise all that is wrong with any item."""
    given = loaded(BatchSubmission(), body)
    # What is wrong with all of them is said once.
    callback_of(given)
    services().settings.pipeline_options(sections(given["options"]))
    items, title = given.pop("items"), given.pop("title", None)
    jobs, errors = [], []
    for index, item in enumerate(items):
        try:
            jobs.append(_item_job(item, given))
        except RequestInvalid as error:
            errors += [_within(index, entry) for entry in error.errors]
        except EmotionClfError as error:
            errors.append({"field": f"items.{index}", "message": error.text})
    if errors:
        raise RequestInvalid(errors)
    return NewBatch(jobs=tuple(jobs), owner=current_owner(), title=title)


def _item_job(item: Any, defaults: Mapping[str, Any]) -> NewJob:
    """Return the job of one item, which wins over the defaults."""
    if not isinstance(item, dict):
        raise RequestInvalid([{"field": "", "message": "Must be a JSON object."}])
    label = loaded(_LABEL, {name: item[name] for name in item if name == "id"})
    body = {**defaults, **{name: item[name] for name in item if name != "id"}}
    if isinstance(item.get("options"), dict):
        body["options"] = {**defaults.get("options", {}), **item["options"]}
    new = json_job(body)
    return replace(new, title=label["id"]) if label else new


def _within(index: int, entry: Mapping[str, str]) -> Mapping[str, str]:
    return {**entry, "field": f"items.{index}.{entry['field']}".rstrip(".")}
