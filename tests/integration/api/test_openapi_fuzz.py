"""schemathesis: requests made from the OpenAPI document, and answers checked against it."""

from __future__ import annotations

import os
import re
import uuid
from collections import Counter

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import run_state_machine_as_test
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import use_after_free

from app.api.schemas import URL_PATTERN
from app.settings import Settings
from app.settings.sections import WebhookSettings

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "50"))
"""For each operation, of requests that the document allows and as many that it does not."""
SEQUENCES = max(20, EXAMPLES // 2)
OPERATIONS = [
    ("/jobs", "POST"),
    ("/jobs", "GET"),
    ("/jobs/{job_id}", "GET"),
    ("/jobs/{job_id}", "DELETE"),
    ("/jobs/{job_id}/result", "GET"),
    ("/jobs/{job_id}/audio", "GET"),
    ("/jobs/{job_id}/events", "GET"),
    ("/jobs/{job_id}/redeliver", "POST"),
    ("/batches", "POST"),
    ("/batches", "GET"),
    ("/batches/{batch_id}", "GET"),
    ("/batches/{batch_id}", "DELETE"),
    ("/batches/{batch_id}/results", "GET"),
    ("/predict", "POST"),
    ("/stats", "GET"),
    ("/health", "GET"),
    ("/health/ready", "GET"),
    ("/metrics", "GET"),
]

BARE = OPERATIONS[-3:]
"""Those without parameters, so that no request can be wrong."""


@pytest.fixture
def settings(settings) -> Settings:
    # No worker runs in here, so there is nothing to wait for.
    api = settings.api.model_copy(update={"wait_seconds": 0, "max_wait_seconds": 0})
    webhooks = WebhookSettings(secret="s" * 32)
    return settings.model_copy(update={"api": api, "webhooks": webhooks})


def on_this_machine(app):
    """Call the application as a server does, which says where a request comes from."""

    def call(environ, start_response):
        return app(environ | {"REMOTE_ADDR": "127.0.0.1"}, start_response)

    return call


@pytest.fixture
def begin_again(jobs, workers, services):
    """Leave what was in the beginning: two jobs of each kind."""

    def begin_again() -> None:
        with services.engine.begin() as connection:
            for table in ("jobs", "batches", "idempotency_keys"):
                connection.exec_driver_sql(f"DELETE FROM {table}")
        for _ in range(2):
            jobs.queued()
            jobs.completed()
            jobs.failed()

    return begin_again


@pytest.fixture
def schema(app, begin_again):
    begin_again()
    return schemathesis.openapi.from_wsgi("/openapi.json", on_this_machine(app))


def test_every_operation_is_tried(schema):
    documented = [result.ok() for result in schema.get_all_operations()]
    assert {(op.path, op.method.upper()) for op in documented} == set(OPERATIONS)


def in_a_form(case) -> bool:
    return case.media_type == "multipart/form-data"


def parts_of(body) -> list[dict]:
    """Return the parts of a body that may hold options: itself, and the items of a batch."""
    if not isinstance(body, dict):
        return []
    items = body.get("items")
    inner = items if isinstance(items, list) else []
    return [part for part in (body, *inner) if isinstance(part, dict)]


def allowed_all_the_same(form: dict) -> bool:
    """Whether what was done to a form to spoil it has not spoiled it."""
    # An empty list is no part at all; a star behind an address makes another address.
    callback = re.search(URL_PATTERN, str(form.get("callback_url")))
    return form.get("options") == [] or callback is not None


def without_what_no_schema_says(case) -> None:
    """Take from an allowed request what may be refused all the same."""
    # A cursor is never made up: only those that the service has given are good.
    case.query.pop("cursor", None)
    # A key is sent with one body.
    if "Idempotency-Key" in (case.headers or {}):
        case.headers["Idempotency-Key"] = uuid.uuid4().hex
    # One option must agree with another.
    for part in parts_of(case.body):
        if isinstance(options := part.get("options"), dict):
            options.pop("min_speakers", None)
            options.pop("language", None)
        if "callback_url" not in part:
            part.pop("callback_result", None)


@pytest.mark.parametrize(
    ("path", "method", "mode"),
    [(*operation, GenerationMode.POSITIVE) for operation in OPERATIONS]
    + [(*operation, GenerationMode.NEGATIVE) for operation in OPERATIONS if operation not in BARE],
)
def test_no_request_breaks_the_document(schema, path, method, mode):
    operation = schema[path][method]

    @given(case=operation.as_strategy(generation_mode=mode))
    @hypothesis_settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def check(case):
        if mode is GenerationMode.POSITIVE:
            without_what_no_schema_says(case)
        elif in_a_form(case) and isinstance(case.body, dict) and allowed_all_the_same(case.body):
            return
        case.call_and_validate()

    check()


def test_no_sequence_of_requests_breaks_the_document(schema, begin_again):
    """Follow the links of the document: what one answer names, the next requests use."""
    followed = Counter()

    class Sequences(schema.as_state_machine()):
        def setup(self):
            # Else what one sequence leaves decides what the next may follow: Hypothesis gives up.
            begin_again()

        def before_call(self, case):
            without_what_no_schema_says(case)
            followed[case.operation.definition.raw["operationId"]] += 1

        def validate_response(self, response, case, **arguments):
            # What was cancelled is still there to be read.
            case.validate_response(response, excluded_checks=[use_after_free])

    run_state_machine_as_test(
        Sequences,
        settings=hypothesis_settings(
            max_examples=SEQUENCES,
            stateful_step_count=8,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert {"getJob", "getResult", "cancelJob", "getBatch"} <= followed.keys(), followed
