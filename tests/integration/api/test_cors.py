"""Which pages of other origins may read answers."""

from __future__ import annotations

import pytest

from app.api import create_app
from app.settings import Settings
from app.settings.sections import ApiSettings, AuthSettings
from ml.errors import SettingInvalid

FRIEND = "https://app.example.org"
OTHERS = [
    "https://app.example.org.evil.example",
    "https://evil.example",
    "http://app.example.org",
    "https://app.example.org:8443",
    "HTTPS://APP.EXAMPLE.ORG",
    "null",
    "*",
    "",
]


@pytest.fixture
def open_client(settings):
    api = settings.api.model_copy(update={"cors_origins": (FRIEND, "http://[::1]:3000")})
    guarded = AuthSettings(secret="s" * 32)
    return create_app(settings.model_copy(update={"api": api, "auth": guarded})).test_client()


def preflight(client, origin, method="POST"):
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization, content-type, idempotency-key",
    }
    return client.options("/jobs", headers=headers)


def test_nobody_unless_an_operator_says_so(client):
    for reply in (client.get("/jobs", headers={"Origin": FRIEND}), preflight(client, FRIEND)):
        assert not [name for name in dict(reply.headers) if name.startswith("Access-Control")]


def test_a_listed_origin_may_ask_without_a_token_what_it_may_do(open_client):
    reply = preflight(open_client, FRIEND)
    assert reply.status_code == 200
    assert reply.headers["Access-Control-Allow-Origin"] == FRIEND
    assert {"POST", "DELETE"} <= set(reply.headers["Access-Control-Allow-Methods"].split(", "))
    allowed = {name.lower() for name in reply.headers["Access-Control-Allow-Headers"].split(", ")}
    assert {"authorization", "content-type", "idempotency-key", "prefer"} <= allowed
    assert reply.headers["Access-Control-Max-Age"] == "600"
    assert "Access-Control-Allow-Credentials" not in reply.headers


@pytest.mark.parametrize("origin", [FRIEND, "http://[::1]:3000"])
@pytest.mark.parametrize("path", ["/jobs", "/health", "/no/such/page"])
def test_a_listed_origin_may_read_answers_and_errors(open_client, origin, path):
    reply = open_client.get(path, headers={"Origin": origin})
    assert reply.headers["Access-Control-Allow-Origin"] == origin
    exposed = set(reply.headers["Access-Control-Expose-Headers"].split(", "))
    assert {"X-Request-ID", "Location", "RateLimit", "Retry-After"} <= exposed
    assert "Origin" in reply.headers["Vary"]


@pytest.mark.parametrize("origin", OTHERS)
def test_no_other_origin_may(open_client, origin):
    asked = open_client.get("/health", headers={"Origin": origin})
    for reply in (asked, preflight(open_client, origin)):
        assert "Access-Control-Allow-Origin" not in reply.headers
        assert "Origin" in reply.headers["Vary"]


@pytest.mark.parametrize("origin", ["*", "app.example.org", "https://a.example/", "null"])
def test_what_is_no_origin_stops_the_start(origin):
    with pytest.raises(SettingInvalid, match=r"api\.cors_origins"):
        Settings.load(api={"cors_origins": [origin]})
    assert ApiSettings().cors_origins == ()
