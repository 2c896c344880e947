"""What a submission says beside its recording or text: where to report, where it comes from."""

from __future__ import annotations

import io
import json

import pytest
import sqlalchemy as sa

from app.api import create_app
from app.models import JobRow
from app.settings import Settings
from app.settings.sections import WebhookSettings

HOOK = "https://example.org/hook?job=1"


@pytest.fixture
def settings(settings) -> Settings:
    return settings.model_copy(update={"webhooks": WebhookSettings(secret="s" * 32)})


@pytest.fixture
def row(services):
    """Read the only job."""

    def read():
        query = sa.select(JobRow.callback_url, JobRow.callback_result, JobRow.request_id)
        with services.engine.connect() as connection:
            return connection.execute(query).one()

    return read


def post(client, form: bool, **members):
    """Submit as JSON, or as a form with the same members."""
    if not form:
        return client.post("/jobs", json={"text": "Hello."} | members)
    parts = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in members.items()
    }
    return client.post("/jobs", data={"file": (io.BytesIO(b"RIFF"), "a.wav")} | parts)


@pytest.mark.parametrize("form", [False, True])
@pytest.mark.parametrize("result", [False, True])
def test_a_callback_is_noted(client, row, form, result):
    reply = post(client, form, callback_url=HOOK, callback_result=result)
    assert reply.status_code == 202, reply.json
    assert row()[:2] == (HOOK, result)


def test_half_a_character_in_a_callback_is_no_defect(client, row):
    assert post(client, False, callback_url="https://example.org/\ud800").status_code == 202
    assert row()[0] == "https://example.org/?"


@pytest.mark.parametrize("form", [False, True])
def test_nobody_is_told_where_nothing_is_said(client, row, form):
    assert post(client, form, callback_result=False).status_code == 202
    assert row()[:2] == (None, False)


@pytest.mark.parametrize("form", [False, True])
@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"callback_url": "ftp://example.org/"}, "callback_url"),
        ({"callback_url": "https://me:secret@example.org/"}, "callback_url"),
        ({"callback_url": "https://example.org/" + "a" * 2048}, "callback_url"),
        ({"callback_url": "/hook"}, "callback_url"),
        ({"callback_url": HOOK, "callback_result": 1}, "callback_result"),
        ({"callback_url": HOOK, "callback_result": "yes"}, "callback_result"),
        ({"callback_result": True}, "callback_result"),
    ],
)
def test_a_bad_callback_is_named(client, services, form, members, field):
    reply = post(client, form, **members)
    assert (reply.status_code, reply.json["code"]) == (422, "request.invalid"), reply.json
    assert [entry["field"] for entry in reply.json["errors"]] == [field]
    assert services.jobs.list("local", None, None, 1).jobs == ()


@pytest.mark.parametrize("form", [False, True])
def test_without_a_secret_no_report_is_promised(settings, tmp_path, form):
    silent = settings.model_copy(update={"webhooks": WebhookSettings()})
    reply = post(create_app(silent).test_client(), form, callback_url=HOOK)
    assert (reply.status_code, reply.json["code"]) == (422, "webhook.disabled")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_job_remembers_the_request_that_it_comes_from(client, row):
    client.post("/jobs", json={"text": "Hello."}, headers={"X-Request-ID": "from-a-client"})
    assert row().request_id == "from-a-client"
