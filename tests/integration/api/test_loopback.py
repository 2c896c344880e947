"""Without authentication: only this machine is answered, and no page of another site."""

from __future__ import annotations

import pytest

from app.api import create_app
from app.api.loopback import check_reach, is_loopback
from app.settings.sections import ApiSettings, AuthSettings
from ml.errors import SettingInvalid

GUARDED = AuthSettings(secret="s" * 32)


def submit(client, *, headers=None, address="127.0.0.1", host="localhost:8000"):
    return client.post(
        "/jobs",
        json={"text": "Hello."},
        headers=headers or {},
        environ_base={"REMOTE_ADDR": address},
        base_url=f"http://{host}",
    )


HERE = [
    ("127.0.0.1", "localhost:8000"),
    ("127.0.0.1", "127.0.0.1:8000"),
    ("127.8.9.10", "LOCALHOST"),
    ("::1", "[::1]:8000"),
    ("::ffff:127.0.0.1", "app.localhost:8000"),
]
ELSEWHERE = ["192.168.1.7", "8.8.8.8", "::ffff:10.0.0.1", "fe80::1", ""]
OTHER_NAMES = [
    "rebound.example:8000",
    "localhost.example",
    "127.0.0.1.nip.io",
    "192.168.1.7:8000",
    "[::2]:8000",
    "localhost@evil.example",
    "",
]
FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost:3000"},
    {"Origin": "https://localhost:8000"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
]
OWN = [
    {"Origin": "http://localhost:8000", "Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": "same-origin"},
]


def refused(reply) -> bool:
    return (reply.status_code, reply.json.get("code")) == (403, "auth.local_only")


def test_this_machine_is_answered(client):
    for address, host in HERE:
        assert submit(client, address=address, host=host).status_code == 202, host


def test_another_machine_is_refused_whatever_it_asks(client):
    for address in ELSEWHERE:
        for path in ("/", "/jobs", "/health", "/metrics", "/openapi.json", "/none"):
            reply = client.get(path, environ_base={"REMOTE_ADDR": address})
            assert refused(reply), (address, path)


def test_a_name_that_was_made_to_mean_this_machine_is_refused(client):
    for host in OTHER_NAMES:
        for method in ("GET", "POST"):
            assert refused(client.open("/jobs", method=method, headers={"Host": host})), host


def test_what_came_through_a_proxy_is_refused(client):
    for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP"):
        assert refused(submit(client, headers={name: "127.0.0.1"})), name


def test_pages_of_other_sites_change_nothing(client, services):
    for headers in FOREIGN:
        assert refused(submit(client, headers=headers)), headers
    assert services.jobs.list("local", None, None, 1).jobs == ()


def test_the_own_page_may_submit(client):
    for headers in OWN:
        assert submit(client, headers=headers).status_code == 202, headers


def test_a_page_that_an_operator_lists_may_submit(settings):
    api = settings.api.model_copy(update={"cors_origins": ("http://localhost:3000",)})
    client = create_app(settings.model_copy(update={"api": api})).test_client()
    for origin, status in (("http://localhost:3000", 202), ("http://localhost:3001", 403)):
        headers = {"Origin": origin, "Sec-Fetch-Site": "same-site"}
        assert submit(client, headers=headers).status_code == status


def test_with_authentication_every_machine_is_asked_for_a_token(settings):
    client = create_app(settings.model_copy(update={"auth": GUARDED})).test_client()
    reply = submit(client, address="8.8.8.8", host="emotions.example")
    assert (reply.status_code, reply.json["code"]) == (401, "auth.required")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "emotions.example", "127.0.0"])
def test_it_listens_to_others_only_with_authentication(settings, host):
    with pytest.raises(SettingInvalid, match=r"api\.host"):
        check_reach(settings, host)
    check_reach(settings.model_copy(update={"auth": GUARDED}), host)


def test_proxies_are_trusted_only_with_authentication(settings):
    behind = settings.model_copy(update={"api": ApiSettings(trusted_proxies=1)})
    for refuse in (lambda: check_reach(behind, "127.0.0.1"), lambda: create_app(behind)):
        with pytest.raises(SettingInvalid, match=r"api\.trusted_proxies"):
            refuse()
    create_app(behind.model_copy(update={"auth": GUARDED}))


@pytest.mark.parametrize("host", ["localhost", "localhost.", "127.1.2.3", "::1", "[::1]"])
def test_names_of_this_machine_are_known(host):
    assert is_loopback(host)
