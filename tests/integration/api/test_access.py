"""Who may call what: every operation of the OpenAPI document, for two clients and every scope."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from app.api import create_app
from app.api.access import ACCESS, DOCUMENTED, Open, access_to
from app.auth import Scope
from app.settings import Settings
from app.settings.sections import AuthSettings, LimitSettings

MARK = "The private words of Alice."
KEY = {"Idempotency-Key": "one-for-both"}
METHODS = {"get", "post", "put", "patch", "delete"}

REQUESTS: dict[str, list[dict[str, Any]]] = {
    "submitJob": [{"json": {"text": "Hello."}, "headers": KEY}],
    "listJobs": [{}, {"query_string": {"batch": "{batch_id}"}}, {"query_string": {"limit": 1}}],
    "getJob": [{}],
    "getResult": [{}, {"query_string": {"format": "csv"}}],
    "getAudio": [{}],
    "followJob": [{}, {"headers": {"Last-Event-ID": "end"}}],
    "redeliver": [{}],
    "submitBatch": [{"json": {"items": [{"text": "Hello."}]}, "headers": KEY}],
    "listBatches": [{}],
    "getBatch": [{}],
    "getBatchResults": [{}],
    "predict": [{"json": {"text": "Hello."}, "headers": KEY | {"Prefer": "wait=0"}}],
    "metrics": [{}],
    "getStats": [{}],
    "live": [{}],
    "ready": [{}],
    "token": [{}],
    "cancelBatch": [{}],
    "cancelJob": [{}, {"query_string": {"erase": "true"}}],
    "revokeToken": [{"json": {"jti": "no-token-of-yours"}}],
}
"""How each operation is called. The order matters: what ends jobs comes last."""


@pytest.fixture
def settings(settings) -> Settings:
    unlimited = LimitSettings(reads_a_minute=0, creations_a_minute=0, tokens_a_minute=0)
    guarded = AuthSettings(secret="s" * 32)
    return settings.model_copy(update={"auth": guarded, "limits": unlimited})


@pytest.fixture
def bearing(services):
    """Make the headers of somebody with some scopes."""

    def make(owner: str, *scopes: Scope) -> dict[str, str]:
        token = services.tokens.issue(owner, scopes, timedelta(hours=1))
        return {"Authorization": f"Bearer {token}"}

    return make


@pytest.fixture
def document(client) -> dict[str, Any]:
    return client.get("/openapi.json").json


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield method, address and description of every operation."""
    for path, methods in document["paths"].items():
        for method in METHODS & set(methods):
            yield method.upper(), path, methods[method]


def in_order(document: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return method, address and name of each operation, as they stand in REQUESTS."""
    found = {each["operationId"]: (method, path) for method, path, each in operations(document)}
    return [(*found[name], name) for name in REQUESTS if name in found]


def with_ids(value: Any, ids: dict[str, str]) -> Any:
    text = json.dumps(value)
    for name, identifier in ids.items():
        text = text.replace(f"{{{name}}}", identifier)
    return json.loads(text)


def call(client, method: str, path: str, request: dict[str, Any], headers: dict[str, str]):
    merged = request | {"headers": request.get("headers", {}) | headers}
    return client.open(path, method=method, **merged)


@pytest.fixture
def of_alice(client, jobs, services, bearing) -> dict[str, str]:
    """Identifiers of a completed job and of a batch that belong to Alice."""
    headers = bearing("alice", Scope.JOBS_WRITE) | KEY
    job = client.post("/jobs", json={"text": MARK}, headers=headers).json["id"]
    jobs.complete(job)
    item = {"items": [{"text": MARK}]}
    batch = client.post("/batches", json=item, headers=headers | {"Idempotency-Key": "2"})
    return {"job_id": job, "batch_id": batch.json["id"]}


def test_every_operation_has_a_request_here(document):
    named = {operation["operationId"] for _, _, operation in operations(document)}
    assert named == set(REQUESTS)


def test_every_operation_has_an_entry_and_every_entry_an_operation(app):
    served = {
        f"{method} {rule.rule}"
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert served == set(ACCESS)


def test_an_operation_without_an_entry_is_refused(app, bearing):
    app.add_url_rule("/forgotten", view_func=lambda: "secret")
    reply = app.test_client().get("/forgotten", headers=bearing("alice", Scope.ADMIN))
    assert (reply.status_code, reply.json["code"]) == (403, "auth.forbidden")
    assert app.test_client().get("/forgotten").status_code == 401


def requests(document: dict[str, Any], ids: dict[str, str]) -> Iterator[tuple[str, str, Any]]:
    """Yield method, address and request of every call that could reach what has these ids."""
    for method, path, name in in_order(document):
        for request in with_ids(REQUESTS[name], ids):
            yield method, with_ids(path, ids), request


def test_nobody_sees_or_changes_what_is_anothers(client, document, of_alice, bearing):
    bob = bearing("bob", *(set(Scope) - {Scope.ADMIN}))
    shown, found = [], []
    calls = list(requests(document, of_alice))
    for method, address, request in calls:
        reply = call(client, method, address, request, bob)
        # An answer may repeat what Bob has sent.
        hers = {one for one in (MARK, *of_alice.values()) if one not in f"{address} {request}"}
        shown += [(method, address) for one in hers if one in reply.text]
        if any(identifier in address for identifier in of_alice.values()):
            missing = reply.json and reply.json["code"] in ("job.not_found", "batch.not_found")
            found += [] if missing and reply.status_code == 404 else [(method, address)]
    assert len(calls) >= 20
    assert not shown
    assert not found


def test_all_of_it_is_its_owners_to_see_and_to_change(client, document, of_alice, bearing):
    alice = bearing("alice", *(set(Scope) - {Scope.ADMIN}))
    for path, identifier in (("/jobs", "job_id"), ("/batches", "batch_id")):
        assert of_alice[identifier] in client.get(path, headers=alice).text
    for method, address, request in requests(document, of_alice):
        reply = call(client, method, address, request, alice)
        assert reply.status_code != 404 or reply.json["code"] == "job.no_audio", address


def test_an_admin_is_nobody_else(client, of_alice, bearing):
    reply = client.get(f"/jobs/{of_alice['job_id']}", headers=bearing("root", Scope.ADMIN))
    assert reply.status_code == 404


@pytest.mark.parametrize("held", [None, *Scope])
def test_each_scope_opens_its_operations_and_no_others(client, document, bearing, held):
    headers = bearing("carol", *([held] if held else []))
    ids = {"job_id": "none", "batch_id": "none"}
    for method, path, name in in_order(document):
        reply = call(client, method, with_ids(path, ids), with_ids(REQUESTS[name][0], ids), headers)
        needed = DOCUMENTED[f"{method} {path}"]
        if isinstance(needed, Open):
            allowed = name != "revokeToken" or held is Scope.ADMIN
        else:
            allowed = held in (needed, Scope.ADMIN)
        assert (reply.status_code == 403) != allowed, (name, reply.status_code)
        if not allowed and isinstance(needed, Scope):
            assert reply.json["code"] == "auth.forbidden"
            assert needed in reply.json["detail"]
            assert f'scope="{needed}"' in reply.headers["WWW-Authenticate"]


def test_without_a_token_only_what_is_open_answers(client, app):
    for rule in app.url_map.iter_rules():
        address = rule.rule.replace("<path:name>", "page.js")
        for method in rule.methods - {"OPTIONS"}:
            reply = client.open(address, method=method)
            if access_to(method, rule.rule) is Open.TO_ALL:
                assert reply.status_code != 401 or rule.rule == "/auth/token"
                continue
            assert reply.status_code == 401, rule
            assert reply.headers["WWW-Authenticate"] == 'Bearer realm="emotion-clf"'
            if method != "HEAD":
                assert reply.json["code"] == "auth.required"


def test_what_does_not_exist_asks_for_no_token(client):
    assert client.get("/nothing").status_code == 404
    assert client.put("/jobs").status_code == 405
    assert client.options("/jobs").status_code == 200


def test_the_document_says_which_scope_an_operation_asks_for(document):
    assert set(document["components"]["securitySchemes"]) == {"bearer", "client"}
    for method, path, operation in operations(document):
        needed = DOCUMENTED[f"{method} {path}"]
        if needed is Open.TO_ALL:
            assert "security" not in operation
            continue
        names = [needed] if isinstance(needed, Scope) else []
        assert operation["security"] == [{"bearer": names}, {"client": names}]
        assert {"401", "403"} <= set(operation["responses"])


def test_without_authentication_the_document_asks_for_nothing(settings):
    app = create_app(settings.model_copy(update={"auth": AuthSettings()}))
    document = app.test_client().get("/openapi.json").json
    assert "securitySchemes" not in document["components"]
    for _, _, operation in operations(document):
        assert "security" not in operation
        assert "401" not in operation["responses"]
