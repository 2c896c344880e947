"""``/auth``: credentials for a token, and tokens taken back."""

from __future__ import annotations

import base64
from datetime import timedelta

import jwt
import pytest

from app.api import create_app
from app.auth import Scope
from app.settings import Settings
from app.settings.sections import AuthSettings, LimitSettings

SECRET = "a secret of at least thirty-two characters"
UNLIMITED = LimitSettings(reads_a_minute=0, creations_a_minute=0, tokens_a_minute=0)


@pytest.fixture
def settings(settings) -> Settings:
    auth = AuthSettings(secret=SECRET, token_seconds=120)
    return settings.model_copy(update={"auth": auth, "limits": UNLIMITED})


@pytest.fixture
def credentials(services) -> dict[str, str]:
    """Of a client that may read and write jobs."""
    client, secret = services.clients.add("a program", {Scope.JOBS_READ, Scope.JOBS_WRITE})
    return {"client_id": client.id, "client_secret": secret}


def basic(credentials: dict[str, str]) -> dict[str, str]:
    pair = f"{credentials['client_id']}:{credentials['client_secret']}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_credentials_give_a_token_however_they_are_sent(client, credentials):
    ways = [
        {"data": credentials},
        {"data": {"grant_type": "client_credentials", **credentials}},
        {"json": credentials},
        {"headers": basic(credentials)},
        {"headers": basic(credentials), "data": {"grant_type": "client_credentials"}},
        {"data": {"resource": "unknown to us", **credentials}},
    ]
    for way in ways:
        reply = client.post("/auth/token", **way)
        assert reply.status_code == 200, reply.json
        assert reply.headers["Cache-Control"] == "no-store"
        answer = reply.json
        assert answer["token_type"] == "Bearer"
        assert answer["expires_in"] == 120
        assert answer["scope"] == "jobs:read jobs:write"
        headers = bearing(answer["access_token"])
        assert client.get("/jobs", headers=headers).status_code == 200


def test_a_token_says_what_it_must_and_no_more(client, credentials):
    token = client.post("/auth/token", data=credentials).json["access_token"]
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "at+jwt"}
    claims = jwt.decode(token, SECRET, ["HS256"], audience="emotion-clf")
    assert set(claims) == {"iss", "aud", "sub", "iat", "exp", "jti", "scope"}
    assert claims["sub"] == credentials["client_id"]
    assert claims["exp"] - claims["iat"] == 120


def test_fewer_scopes_may_be_asked_for_and_no_others(client, credentials):
    reply = client.post("/auth/token", data=credentials | {"scope": "jobs:read"})
    assert reply.json["scope"] == "jobs:read"
    for scope in ("admin", "jobs:read metrics:read", "nonsense", "jobs:read\x00"):
        refused = client.post("/auth/token", data=credentials | {"scope": scope})
        assert (refused.status_code, refused.json["code"]) == (403, "auth.forbidden"), scope


def test_an_admin_may_ask_for_every_scope(client, services):
    admin, secret = services.clients.add("an admin", {Scope.ADMIN})
    asked = {"client_id": admin.id, "client_secret": secret, "scope": "metrics:read"}
    assert client.post("/auth/token", data=asked).json["scope"] == "metrics:read"


def test_what_is_wrong_with_credentials_is_not_told(client, services, credentials):
    revoked, secret = services.clients.add("another", {Scope.JOBS_READ})
    services.clients.revoke(revoked.id)
    wrong = [
        credentials | {"client_secret": "guessed"},
        credentials | {"client_secret": credentials["client_secret"] + "x"},
        {"client_id": "unknown", "client_secret": "guessed"},
        {"client_id": "\x00", "client_secret": "guessed"},
        {"client_id": revoked.id, "client_secret": secret},
    ]
    answers = {client.post("/auth/token", data=one).get_data() for one in wrong}
    assert len(answers) == 1
    reply = client.post("/auth/token", headers=basic(wrong[0]))
    assert (reply.status_code, reply.json["code"]) == (401, "auth.invalid")
    assert reply.headers["WWW-Authenticate"].startswith("Basic ")


@pytest.mark.parametrize(
    ("request_", "status", "field"),
    [
        ({}, 422, "client_id"),
        ({"data": {"client_id": "a"}}, 422, "client_secret"),
        ({"data": {"client_id": "", "client_secret": "b"}}, 422, "client_id"),
        ({"data": {"client_id": "a", "client_secret": "b" * 300}}, 422, "client_secret"),
        ({"json": {"client_id": 5, "client_secret": "b"}}, 422, "client_id"),
        ({"json": {"client_id": "a", "client_secret": "\ud800"}}, 401, None),
        ({"json": {"client_id": "\ud800", "client_secret": "b"}}, 401, None),
        ({"json": []}, 422, ""),
        ({"data": b"{", "content_type": "application/json"}, 400, None),
        ({"data": b"x", "content_type": "text/plain"}, 415, None),
        ({"data": {"grant_type": "password", "client_id": "a", "client_secret": "b"}}, 422,
         "grant_type"),
        ({"data": {"client_secret": "b"},
          "headers": basic({"client_id": "a", "client_secret": "b"})}, 422, "client_secret"),
        ({"headers": {"Authorization": "Basic !"}}, 422, "client_id"),
        ({"headers": {"Authorization": "Basic " + base64.b64encode(b"a").decode()}}, 422,
         "client_secret"),
    ],
)  # fmt: skip
def test_a_request_for_a_token_that_makes_no_sense(client, request_, status, field):
    reply = client.post("/auth/token", **request_)
    assert reply.status_code == status, reply.json
    if field is not None:
        assert field in [entry["field"] for entry in reply.json["errors"]]


def test_a_token_can_be_taken_back(client, services, credentials):
    kept, given_up = (
        client.post("/auth/token", data=credentials).json["access_token"] for _ in range(2)
    )
    assert client.post("/auth/revoke", headers=bearing(given_up)).status_code == 204
    reply = client.get("/jobs", headers=bearing(given_up))
    assert (reply.status_code, reply.json["detail"]) == (401, "The token was revoked.")
    assert client.post("/auth/revoke", headers=bearing(given_up)).status_code == 401
    assert client.get("/jobs", headers=bearing(kept)).status_code == 200


def test_only_an_admin_takes_back_the_token_of_another(client, services, credentials):
    token = client.post("/auth/token", data=credentials).json["access_token"]
    jti = jwt.decode(token, options={"verify_signature": False})["jti"]
    hour = timedelta(hours=1)
    other = services.tokens.issue("other", {Scope.JOBS_READ, Scope.JOBS_WRITE}, hour)
    refused = client.post("/auth/revoke", json={"jti": jti}, headers=bearing(other))
    assert (refused.status_code, refused.json["code"]) == (403, "auth.forbidden")
    assert "admin" in refused.json["detail"]
    assert client.get("/jobs", headers=bearing(token)).status_code == 200
    admin = services.tokens.issue("admin", {Scope.ADMIN}, hour)
    assert client.post("/auth/revoke", json={"jti": jti}, headers=bearing(admin)).status_code == 204
    assert client.get("/jobs", headers=bearing(token)).status_code == 401
    assert client.get("/jobs", headers=bearing(admin)).status_code == 200


def test_a_revoked_client_has_no_tokens_any_more(client, services, credentials):
    token = client.post("/auth/token", data=credentials).json["access_token"]
    services.clients.revoke(credentials["client_id"])
    assert client.get("/jobs", headers=bearing(token)).status_code == 401


def test_without_the_database_nobody_is_let_in(settings, services):
    token = services.tokens.issue("alice", set(Scope), timedelta(hours=1))
    lost = settings.model_copy(update={"database_url": "postgresql://127.0.0.1:1/none"})
    client = create_app(lost).test_client()
    for path in ("/jobs", "/metrics"):
        reply = client.get(path, headers=bearing(token))
        assert (reply.status_code, reply.json["code"]) == (503, "service.unavailable")
    asked = {"client_id": "a", "client_secret": "b"}
    assert client.post("/auth/token", data=asked).status_code == 503


def test_tokens_are_given_only_where_a_secret_signs_them(settings):
    for auth, status in ((AuthSettings(), 404), (settings.auth, 422)):
        app = create_app(settings.model_copy(update={"auth": auth}))
        assert app.test_client().post("/auth/token").status_code == status
