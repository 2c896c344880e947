"""schemathesis: requests made from the OpenAPI document, and answers checked against it."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from schemathesis import GenerationMode

from app.settings import Settings

EXAMPLES = 50
"""For each operation, of requests that the document allows and as many that it does not."""
OPERATIONS = [
    ("/jobs", "POST"),
    ("/jobs", "GET"),
    ("/jobs/{job_id}", "GET"),
    ("/jobs/{job_id}", "DELETE"),
    ("/jobs/{job_id}/result", "GET"),
    ("/jobs/{job_id}/audio", "GET"),
    ("/predict", "POST"),
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
    return settings.model_copy(update={"api": api})


@pytest.fixture
def schema(app, jobs, workers):
    for _ in range(2):
        jobs.queued()
        jobs.completed()
        jobs.failed()
    return schemathesis.openapi.from_wsgi("/openapi.json", app)


def test_every_operation_is_tried(schema):
    documented = [result.ok() for result in schema.get_all_operations()]
    assert {(op.path, op.method.upper()) for op in documented} == set(OPERATIONS)


def in_a_form(case) -> bool:
    return case.media_type == "multipart/form-data"


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
            # A cursor is never made up: no schema can say which ones the service has given.
            case.query.pop("cursor", None)
            # Nor that one option must agree with another.
            options = case.body.get("options") if isinstance(case.body, dict) else None
            if isinstance(options, dict):
                options.pop("min_speakers", None)
                options.pop("language", None)
        elif isinstance(case.body, dict) and case.body.get("options") == [] and in_a_form(case):
            # An empty list is no part at all in a form: what is sent is allowed.
            return
        case.call_and_validate()

    check()
