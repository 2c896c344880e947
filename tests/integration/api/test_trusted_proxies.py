"""Whose word is taken for where a request comes from, at the real server."""

from __future__ import annotations

import pytest
import redis
import requests
from api_process import serving

from app.settings.sections import AuthSettings, LimitSettings


@pytest.fixture(autouse=True)
def nobody_was_counted(redis_url):
    server = redis.Redis.from_url(redis_url)
    for key in server.scan_iter("emotion_clf:limit:*"):
        server.delete(key)


def exposed(settings, proxies: int):
    """Settings of a service that others may reach, through so many proxies."""
    return settings.model_copy(
        update={
            "auth": AuthSettings(secret="s" * 32),
            "limits": LimitSettings(tokens_a_minute=1),
            "api": settings.api.model_copy(update={"trusted_proxies": proxies}),
        }
    )


@pytest.fixture
def behind_two(settings):
    with serving(exposed(settings, 2)) as address:
        yield address


@pytest.fixture
def in_the_open(settings):
    with serving(exposed(settings, 0)) as address:
        yield address


def ask(address, *forwarded: str, path: str = "/jobs", **headers: str):
    headers |= {"X-Forwarded-For": ", ".join(forwarded)} if forwarded else {}
    return requests.get(address + path, headers=headers, timeout=10)


def test_the_address_is_what_the_outermost_trusted_proxy_saw(behind_two):
    # What stands before the last two was written by the client, who may write anything.
    first = ask(behind_two, "6.6.6.1", "198.51.100.1", "10.0.0.1")
    again = ask(behind_two, "6.6.6.2", "198.51.100.1", "10.0.0.2")
    another = ask(behind_two, "6.6.6.1", "198.51.100.2", "10.0.0.1")
    assert [reply.status_code for reply in (first, again, another)] == [401, 429, 401]


@pytest.mark.parametrize(
    "written",
    ["198.51.100.{0}", "198.51.100.{0}:{0}", "2001:db8:0:{0}::1", "[2001:db8:0:{0}::1]:{0}"],
)
def test_a_port_beside_the_address_does_not_matter(behind_two, written):
    """Some proxies write it; without its address nobody could be told from the others."""
    seen = [written.format(number) for number in (1, 2)]
    replies = [ask(behind_two, address, "10.0.0.1") for address in (*seen, seen[0])]
    assert [reply.status_code for reply in replies] == [401, 401, 429]


def test_a_proxy_tells_the_scheme(behind_two):
    told = ask(behind_two, "a", "b", path="/health", **{"X-Forwarded-Proto": "https, http"})
    assert "Strict-Transport-Security" in told.headers
    assert "Strict-Transport-Security" not in ask(behind_two, path="/health").headers


def test_without_proxies_nothing_forwarded_is_believed(in_the_open):
    replies = [ask(in_the_open, f"198.51.100.{number}") for number in range(2)]
    assert [reply.status_code for reply in replies] == [401, 429]
    told = ask(in_the_open, path="/health", **{"X-Forwarded-Proto": "https"})
    assert "Strict-Transport-Security" not in told.headers
    assert "Server" not in told.headers
