"""Rate limits of the application: who is counted as whom, and what they are told."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
import sqlalchemy as sa

from app.api import create_app
from app.auth import Scope
from app.jobs import NewBatch, NewJob
from app.models import JobRow
from app.settings import Settings
from app.settings.sections import AuthSettings, LimitSettings
from emotion_clf.local.servers import free_port

TEXT = {"text": "Hello."}


@pytest.fixture
def limits() -> LimitSettings:
    return LimitSettings(
        reads_a_minute=4, creations_a_minute=2, tokens_a_minute=3, burst_seconds=60
    )


@pytest.fixture
def settings(settings, limits) -> Settings:
    guarded = AuthSettings(secret="s" * 32)
    return settings.model_copy(update={"auth": guarded, "limits": limits})


@pytest.fixture
def somebody(services):
    """Make the headers of a client that nobody has seen before."""

    def make(*scopes: Scope) -> dict[str, str]:
        owner = uuid.uuid4().hex
        life = timedelta(hours=1)
        token = services.tokens.issue(owner, scopes or [Scope.ADMIN], life)
        return {"Authorization": f"Bearer {token}"}

    return make


@pytest.fixture
def address():
    """Make an address that nobody has used before."""

    def make() -> dict[str, str]:
        group = uuid.uuid4().hex
        return {"REMOTE_ADDR": f"2001:db8:{group[:4]}:{group[4:8]}::1"}

    return make


def statuses(replies) -> list[int]:
    return [reply.status_code for reply in replies]


def test_reads_are_limited_by_client(client, somebody):
    me, you = somebody(), somebody()
    replies = [client.get("/jobs", headers=me) for _ in range(5)]
    assert statuses(replies) == [200] * 4 + [429]
    assert replies[0].headers["RateLimit-Policy"] == '"reads";q=4;w=60'
    assert replies[0].headers["RateLimit"] == '"reads";r=3;t=15'
    refused = replies[-1]
    assert refused.json["code"] == "request.rate_limited"
    assert refused.mimetype == "application/problem+json"
    assert refused.headers["RateLimit"].startswith('"reads";r=0;t=')
    assert 1 <= int(refused.headers["Retry-After"]) <= 15
    assert client.get("/jobs", headers=you).status_code == 200


def test_creations_are_counted_apart_from_reads_and_a_refused_one_makes_nothing(client, somebody):
    me = somebody()
    replies = [client.post("/jobs", json=TEXT, headers=me) for _ in range(2)]
    replies.append(client.post("/predict", json=TEXT, headers=me))
    replies.append(client.delete(f"/jobs/{replies[0].json['id']}", headers=me))
    assert statuses(replies) == [202, 202, 429, 429]
    assert replies[0].headers["RateLimit-Policy"] == '"creations";q=2;w=60'
    assert len(client.get("/jobs", headers=me).json["jobs"]) == 2


def test_probes_and_what_is_open_to_all_are_not_limited(client, somebody):
    me = somebody()
    for path in ("/health", "/metrics", "/", "/openapi.json", "/web/app.js", "/no/such/page"):
        replies = [client.get(path, headers=me) for _ in range(6)]
        assert 429 not in statuses(replies), path
        assert "RateLimit" not in replies[0].headers


def test_requests_for_a_token_are_limited_by_address_before_a_secret_is_looked_at(client, address):
    here = address()
    guess = {"client_id": "c" * 12, "client_secret": "x" * 40}
    replies = [client.post("/auth/token", json=guess, environ_base=here) for _ in range(4)]
    assert statuses(replies) == [401] * 3 + [429]
    neighbour = {"REMOTE_ADDR": here["REMOTE_ADDR"] + "f"}
    assert client.post("/auth/token", json=guess, environ_base=neighbour).status_code == 429
    assert client.post("/auth/token", json=guess, environ_base=address()).status_code == 401


def test_bad_tokens_are_limited_by_address_and_a_good_one_still_works_there(
    client, address, somebody
):
    here = address()
    bad = {"Authorization": "Bearer a.b.c"}
    replies = [client.get("/jobs", headers=bad, environ_base=here) for _ in range(4)]
    assert statuses(replies) == [401] * 3 + [429]
    assert replies[-1].headers["Retry-After"]
    assert client.get("/jobs", environ_base=here).status_code == 429
    assert client.get("/jobs", headers=somebody(), environ_base=here).status_code == 200


def test_a_token_that_is_not_for_this_is_limited_too(client, address, somebody):
    here, reader = address(), somebody(Scope.JOBS_READ)
    replies = [client.get("/metrics", headers=reader, environ_base=here) for _ in range(4)]
    assert statuses(replies) == [403] * 3 + [429]


def test_refused_requests_are_counted_for_prometheus(client, somebody):
    me = somebody()
    for _ in range(6):
        client.get("/jobs", headers=me)
    shown = client.get("/metrics", headers=somebody()).text
    assert 'emotion_clf_rate_limited_total{class="reads"} 2.0' in shown


def test_zero_switches_a_limit_off(settings, somebody):
    off = settings.limits.model_copy(update={"reads_a_minute": 0})
    client = create_app(settings.model_copy(update={"limits": off})).test_client()
    replies = [client.get("/jobs", headers=somebody()) for _ in range(6)]
    assert statuses(replies) == [200] * 6
    assert "RateLimit" not in replies[0].headers


def test_without_authentication_only_limits_that_an_operator_has_set_hold(settings):
    limits = LimitSettings(reads_a_minute=1, burst_seconds=1)
    alone = settings.model_copy(update={"auth": AuthSettings(), "limits": limits})
    client = create_app(alone).test_client()
    assert 429 in statuses([client.get("/jobs") for _ in range(2)])
    posted = [client.post("/jobs", json=TEXT) for _ in range(25)]
    assert statuses(posted) == [202] * 25


class TestWithoutRedis:
    @pytest.fixture
    def limits(self) -> LimitSettings:
        dead = f"redis://127.0.0.1:{free_port()}/0"
        return LimitSettings(
            reads_a_minute=50, creations_a_minute=3, burst_seconds=60, redis_url=dead
        )

    def test_reads_go_on(self, client, somebody):
        me = somebody()
        assert statuses([client.get("/jobs", headers=me) for _ in range(10)]) == [200] * 10

    def test_what_several_processes_create_is_counted_in_the_database(self, settings, somebody):
        me = somebody()
        clients = [create_app(settings).test_client() for _ in range(4)]
        replies = [client.post("/jobs", json=TEXT, headers=me) for client in clients * 2]
        # Three a minute, and as many that were saved up.
        assert statuses(replies).count(202) == 6
        refused = [reply for reply in replies if reply.status_code != 202]
        assert {reply.json["code"] for reply in refused} == {"request.rate_limited"}
        assert all(reply.headers["Retry-After"] for reply in refused)

    def test_a_batch_counts_once_and_a_minute_is_forgotten(self, settings, services, somebody):
        me = somebody()
        owner = services.tokens.verify(me["Authorization"].partition(" ")[2]).owner
        many = NewBatch(tuple(NewJob("text", "Hello.", owner=owner) for _ in range(20)), owner)
        services.batches.submit(many)
        for _ in range(5):
            services.jobs.submit(NewJob("text", "Hello.", owner=owner))
        clients = [create_app(settings).test_client() for _ in range(2)]
        replies = [client.post("/jobs", json=TEXT, headers=me) for client in clients]
        # The batch and five jobs are six submissions; twenty-five would be more than that.
        assert statuses(replies) == [429, 429]
        with services.engine.begin() as connection:
            one = sa.select(JobRow.id).where(JobRow.batch_id.is_(None)).limit(1).scalar_subquery()
            past = sa.func.now() - sa.text("interval '61 seconds'")
            connection.execute(sa.update(JobRow).where(JobRow.id == one).values(created_at=past))
        replies = [client.post("/jobs", json=TEXT, headers=me) for client in clients]
        assert statuses(replies) == [202, 429]
