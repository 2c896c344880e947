"""What a report says, and what becomes of it after an attempt."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.jobs import DeliveryState, JobStatus
from app.stores.deliveries import ClaimedDelivery, DeliveryFailure
from workers.webhook_client import Answer
from workers.webhooks import FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS, judge, report

DAY = 86_400.0


def claimed(**values) -> ClaimedDelivery:
    defaults = {
        "id": uuid.UUID(int=1),
        "event": "job.completed",
        "attempts": (),
        "lease_until": datetime(2026, 1, 1, tzinfo=UTC),
        "age_seconds": 0.0,
        "url": "https://receiver.example/hook?key=secret",
        "host": "receiver.example",
        "owner": "local",
        "job_id": uuid.UUID(int=2),
        "batch_id": None,
        "kind": "upload",
        "title": "talk.mp3",
        "status": JobStatus.COMPLETED,
        "error": None,
        "ended_at": datetime(2026, 1, 1, tzinfo=UTC),
        "result": None,
    }
    return ClaimedDelivery(**{**defaults, **values})


def told(**values):
    return json.loads(msgspec.json.encode(report(claimed(**values))))


def test_a_report_says_which_job_ended_and_how():
    address = f"/jobs/{uuid.UUID(int=2)}"
    assert told() == {
        "id": str(uuid.UUID(int=1)),
        "type": "job.completed",
        "created_at": "2026-01-01T00:00:00Z",
        "job": {
            "id": str(uuid.UUID(int=2)),
            "batch_id": None,
            "status": "completed",
            "kind": "upload",
            "title": "talk.mp3",
            "error": None,
            "links": {"self": address, "result": f"{address}/result"},
        },
    }


def test_a_report_on_a_failure_says_why_and_links_to_no_result():
    error = {"code": "media.no_audio", "message": "No.", "hint": "Look."}
    job = told(event="job.failed", status=JobStatus.FAILED, error=error)["job"]
    assert (job["status"], job["error"], list(job["links"])) == ("failed", error, ["self"])


def test_a_report_holds_nothing_of_what_was_said_unless_asked():
    assert told(kind="text", title="I love it.")["job"]["title"] is None
    assert told(result={"segments": []})["result"] == {"segments": []}


@pytest.mark.parametrize("status", [200, 202, 204, 299])
def test_two_hundreds_deliver(status):
    assert judge(Answer(status), DAY * 2, DAY) == (DeliveryState.DELIVERED, 0)


@pytest.mark.parametrize(
    "outcome", [Answer(500), Answer(302), Answer(404), Answer(199), *DeliveryFailure]
)
def test_everything_else_is_tried_again_until_the_day_is_over(outcome):
    assert judge(outcome, 0, DAY)[0] is DeliveryState.PENDING
    assert judge(outcome, DAY, DAY) == (DeliveryState.FAILED, 0)


def test_who_is_gone_is_not_asked_again():
    assert judge(Answer(410), 0, DAY) == (DeliveryState.FAILED, 0)


def test_who_asks_for_time_gets_it():
    assert judge(Answer(503, retry_after=500), 0, DAY) == (DeliveryState.PENDING, 500)
    assert judge(Answer(503, retry_after=DAY * 2), 0, DAY) == (DeliveryState.FAILED, 0)


@given(age=st.floats(0, 10 * DAY))
def test_a_wait_grows_with_the_age_and_is_drawn(age):
    state, wait = judge(Answer(500), age, 20 * DAY)
    longest = min(max(age, FIRST_RETRY_SECONDS), LONGEST_RETRY_SECONDS)
    assert state is DeliveryState.PENDING
    assert longest / 2 <= wait <= longest


def test_a_day_holds_some_thirty_attempts():
    age, attempts = 0.0, 0
    while (verdict := judge(Answer(500), age, DAY))[0] is DeliveryState.PENDING:
        age += verdict[1]
        attempts += 1
    assert 25 < attempts < 80
