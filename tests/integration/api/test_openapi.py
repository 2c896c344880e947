"""The OpenAPI document: valid, complete, and true of what the service answers."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from analyses import make_analysis
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from app.api.schemas import JobSchema
from ml.results import Analysis

METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture
def document(client):
    return client.get("/openapi.json").json


def validator(document, name):
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    return Draft202012Validator(schema)


def test_it_validates(document):
    assert document["openapi"].startswith("3.1")
    validate(document)


def test_every_route_is_in_it(app, document):
    undocumented = {"/", "/docs", "/openapi.json"}
    served = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if rule.rule not in undocumented and not rule.rule.startswith(("/web/", "/docs/"))
    }
    documented = {
        (path, method)
        for path, operations in document["paths"].items()
        for method in operations
        if method in METHODS
    }
    assert served == documented


def test_every_operation_says_what_it_does_and_how_it_fails(document):
    for operations in document["paths"].values():
        for method in METHODS & set(operations):
            operation = operations[method]
            assert operation["operationId"]
            assert operation["summary"]
            assert "default" in operation["responses"]


@pytest.mark.parametrize("duration", [2.5, None])
def test_a_result_has_the_documented_shape(client, jobs, document, duration):
    result = client.get(f"/jobs/{jobs.completed(make_analysis(duration=duration))}/result").json
    validator(document, "Analysis").validate(result)


def test_jobs_have_the_documented_shape(client, jobs, document):
    for job_id in (jobs.queued(), jobs.running(), jobs.completed(), jobs.failed()):
        validator(document, "Job").validate(client.get(f"/jobs/{job_id}").json)
    validator(document, "JobPage").validate(client.get("/jobs").json)


def test_jobs_are_shown_exactly_as_their_schema_would_show_them(client, jobs):
    """The schema makes the document, other code makes the answers: nothing more, nothing else."""
    options = {"redact_pii": ["person_name"], "confidence_threshold": 0.5, "diarize": True}
    chosen = client.post("/jobs", json={"text": "Hm.", "options": options}).json
    assert chosen["options"] == options
    batch = client.post("/batches", json={"items": [{"text": "a"}]}).json
    in_batch = client.get(f"/jobs?batch={batch['id']}").json["jobs"]
    others = (jobs.queued(), jobs.running(), jobs.completed(), jobs.failed())
    shown = [client.get(f"/jobs/{job_id}").json for job_id in others]
    for job in [chosen, *in_batch, *shown]:
        assert set(job) == set(JobSchema().fields)
        assert JobSchema().dump(JobSchema().load(job)) == job


def test_batches_have_the_documented_shape(client, jobs, document):
    batch = client.post("/batches", json={"items": [{"text": "a"}, {"text": "b"}]}).json
    validator(document, "Batch").validate(batch)
    client.delete(batch["links"]["self"])
    validator(document, "BatchPage").validate(client.get("/batches").json)


def test_problems_have_the_documented_shape(client, document):
    for path in ("/nothing", "/jobs?limit=0", "/health/ready"):
        validator(document, "Problem").validate(client.get(path).json)


def test_the_example_in_the_documentation_is_true(document):
    text = (Path(__file__).parents[3] / "docs" / "api.md").read_text()
    examples = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]
    results = [example for example in examples if "segments" in example]
    assert results
    for result in results:
        validator(document, "Analysis").validate(result)
        assert Analysis.from_dict(result).segments
    for job in (example for example in examples if "status" in example and "links" in example):
        validator(document, "Job").validate(job)
    for batch in (example for example in examples if "counts" in example):
        validator(document, "Batch").validate(batch)
    for problem in (example for example in examples if "hint" in example and "type" in example):
        validator(document, "Problem").validate(problem)
