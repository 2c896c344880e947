"""``GET /stats``: one's own history, or everybody's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.api import create_app
from app.api.services import EXTENSION
from app.auth import Scope
from app.jobs import NewJob


def test_an_operator_sees_everybodys(client, services, jobs):
    jobs.completed()
    jobs.failed("media.no_audio")
    services.jobs.submit(NewJob("text", "Hello.", owner="other"))
    reply = client.get("/stats")
    assert reply.status_code == 200
    assert reply.json["clients"] == "all"
    assert sum(entry["count"] for entry in reply.json["jobs"]) == 3
    assert reply.json["errors"] == [{"code": "media.no_audio", "count": 1}]
    (day,) = reply.json["days"]
    assert (day["submitted"], day["completed"], day["failed"]) == (3, 1, 1)


@pytest.fixture
def guarded(settings):
    auth = settings.auth.model_copy(update={"secret": "s" * 32})
    app = create_app(settings.model_copy(update={"auth": auth}))
    yield app
    app.extensions[EXTENSION].engine.dispose()


@pytest.mark.parametrize(
    ("scopes", "count", "clients"),
    [([Scope.JOBS_READ], 1, "own"), ([Scope.JOBS_READ, Scope.ADMIN], 2, "all")],
)
def test_a_client_sees_its_own(guarded, scopes, count, clients):
    services = guarded.extensions[EXTENSION]
    for owner in ("me", "other"):
        services.jobs.submit(NewJob("text", "Hello.", owner=owner))
    token = services.tokens.issue("me", scopes, timedelta(hours=1))
    reply = guarded.test_client().get("/stats", headers={"Authorization": f"Bearer {token}"})
    assert sum(entry["count"] for entry in reply.json["jobs"]) == count
    assert reply.json["clients"] == clients


def test_since_when(client, jobs):
    jobs.queued()
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert client.get("/stats", query_string={"since": later}).json["jobs"] == []
    week = client.get("/stats?period=week").json
    length = datetime.fromisoformat(week["until"]) - datetime.fromisoformat(week["since"])
    assert length == timedelta(weeks=1)


@pytest.mark.parametrize(
    "moment",
    ["0001-01-01T00:00:00+14:00", "0924-06-05T13:22:16-19:30", "9999-12-31T23:59:59-12:00"],
)
def test_any_moment_will_do(client, moment):
    assert client.get("/stats", query_string={"since": moment}).status_code == 200


@pytest.mark.parametrize("query", ["period=year", "since=yesterday", "until=now"])
def test_what_cannot_be_read_is_refused(client, query):
    reply = client.get(f"/stats?{query}")
    assert (reply.status_code, reply.json["code"]) == (422, "request.invalid")
