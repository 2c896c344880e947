"""What a job shows of the report on its end, and sending that again."""

from __future__ import annotations

import uuid

import pytest
from jsonschema import Draft202012Validator

from app.api.schemas import JobSchema
from app.jobs import Callback, DeliveryState, NewJob

URL = "https://receiver.example/hook?key=secret#there"


@pytest.fixture
def reported(services) -> uuid.UUID:
    """A job with a callback that has ended."""
    job = services.jobs.submit(NewJob("text", "Hm.", callback=Callback(URL)))
    return services.jobs.cancel(job.id, "local").id


def note(services, state, **attempt):
    attempt = {"at": "2026-11-22T14:23:41+00:00", "ms": 12, **attempt}
    assert services.deliveries.note(services.deliveries.claim(60), attempt, state)


def test_a_job_shows_where_its_end_is_reported_but_not_the_query(client, services):
    job = services.jobs.submit(NewJob("text", "Hm.", callback=Callback(URL)))
    shown = client.get(f"/jobs/{job.id}").json
    assert (shown["callback_url"], shown["deliveries"]) == ("https://receiver.example/hook", [])


def test_a_job_shows_what_became_of_its_report(client, services, reported):
    note(services, DeliveryState.PENDING, error="timeout")
    note_again = services.deliveries.of_jobs([reported])[reported]
    (shown,) = client.get(f"/jobs/{reported}").json["deliveries"]
    assert shown == {
        "id": str(note_again.id),
        "event": "job.cancelled",
        "state": "pending",
        "attempts": [{"at": "2026-11-22T14:23:41+00:00", "error": "timeout", "ms": 12}],
    }
    assert client.get("/jobs").json["jobs"][0]["deliveries"] == [shown]


def test_the_document_describes_it(client, services, reported):
    note(services, DeliveryState.PENDING, status=500)
    document = client.get("/openapi.json").json
    schema = {"$ref": "#/components/schemas/Job", "components": document["components"]}
    shown = client.get(f"/jobs/{reported}").json
    Draft202012Validator(schema).validate(shown)
    assert JobSchema().dump(JobSchema().load(shown)) == shown


def test_a_list_looks_for_reports_once(client, services, jobs, reported):
    other = services.jobs.submit(NewJob("text", "Hm.", callback=Callback(URL)))
    services.jobs.cancel(other.id, "local")
    jobs.completed()
    asked = []
    inner = services.deliveries.of_jobs
    object.__setattr__(services, "deliveries", Counting(inner, asked))
    listed = client.get("/jobs").json["jobs"]
    assert [len(job["deliveries"]) for job in listed] == [0, 1, 1]
    assert len(asked) == 1


class Counting:
    def __init__(self, inner, asked) -> None:
        self._inner, self._asked = inner, asked

    def of_jobs(self, job_ids):
        self._asked.append(job_ids)
        return self._inner(job_ids)


def test_a_failed_report_is_sent_again(client, services, reported):
    note(services, DeliveryState.FAILED, status=410)
    reply = client.post(f"/jobs/{reported}/redeliver")
    assert (reply.status_code, reply.json["deliveries"][0]["state"]) == (202, "pending")
    assert services.deliveries.claim(60).job_id == reported


def test_only_a_failed_report_is_sent_again(client, jobs, reported):
    for job_id in (reported, jobs.queued(), jobs.completed()):
        reply = client.post(f"/jobs/{job_id}/redeliver")
        assert (reply.status_code, reply.json["code"]) == (409, "delivery.not_failed")


def test_a_job_that_is_not_ones_own_is_not_reported_again(client, services, jobs):
    for job_id in (uuid.uuid4(), "nonsense", jobs.queued(owner="somebody")):
        assert client.post(f"/jobs/{job_id}/redeliver").status_code == 404
