"""``Idempotency-Key``: the same request sent again makes nothing new."""

from __future__ import annotations

import io
import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

TEXT = {"text": "Hello.", "options": {"timeline_bins": 3}}


def keyed(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key}


def upload(client, key: str, content: bytes = b"RIFF" * 100, name: str = "a.wav", **fields):
    data = {"file": (io.BytesIO(content), name)} | fields
    return client.post("/jobs", data=data, headers=keyed(key))


def jobs_of(client) -> list[str]:
    return [job["id"] for job in client.get("/jobs").json["jobs"]]


def stored(tmp_path) -> list[str]:
    return [path.name for path in tmp_path.rglob("*") if path.is_file()]


def test_the_same_body_under_the_same_key_is_the_same_job(client):
    first, again = (client.post("/jobs", json=TEXT, headers=keyed("k")) for _ in range(2))
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json["id"] == again.json["id"]
    assert first.headers["Location"] == again.headers["Location"]
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert jobs_of(client) == [first.json["id"]]


def test_how_json_is_written_does_not_matter(client):
    one = '{"text": "H\\u00e9.", "options": {"timeline_bins": 3, "features": true}}'
    other = '{ "options":{"features":true,"timeline_bins":3},"text":"Hé." }'
    replies = [
        client.post("/jobs", data=body, content_type="application/json", headers=keyed("k"))
        for body in (one, other.encode())
    ]
    assert replies[0].json["id"] == replies[1].json["id"]


def test_a_reply_that_is_lost_at_the_commit_costs_no_upload(
    client, services, tmp_path, monkeypatch
):
    submit = services.jobs.submit

    def committed(*arguments, **options):
        submit(*arguments, **options)
        raise OperationalError("COMMIT", {}, Exception())

    monkeypatch.setattr(services.jobs, "submit", committed)
    assert upload(client, "k").status_code == 503
    monkeypatch.undo()
    reply = upload(client, "k")
    assert (reply.status_code, reply.headers["Idempotency-Replayed"]) == (202, "true")
    assert stored(tmp_path) == [uuid.UUID(reply.json["id"]).hex]


def test_without_a_key_every_request_makes_a_job(client):
    ids = {client.post("/jobs", json=TEXT).json["id"] for _ in range(2)}
    assert len(ids) == 2


@pytest.mark.parametrize(
    "other",
    [
        {"path": "/jobs", "json": TEXT | {"text": "Hello!"}},
        {"path": "/jobs", "json": {"text": "Hello."}},
        {"path": "/predict", "json": TEXT},
        {"path": "/batches", "json": {"items": [TEXT]}},
        {"path": "/jobs", "data": {"file": (io.BytesIO(b"x"), "a.wav")}},
    ],
)
def test_another_request_under_the_same_key_is_refused(client, tmp_path, other):
    client.post("/jobs", json=TEXT, headers=keyed("k"))
    refused = client.post(other.pop("path"), headers=keyed("k"), **other)
    assert (refused.status_code, refused.json["code"]) == (422, "request.key_reused")
    assert len(jobs_of(client)) == 1
    assert not stored(tmp_path)


def test_what_a_repetition_has_found_is_not_erased_from_under_it(client, services):
    first = client.post("/jobs", json=TEXT, headers=keyed("k")).json["id"]

    def erase(connection, cursor, statement, *_):
        if statement.startswith("INSERT INTO idempotency_keys"):
            with suppress(OperationalError), services.engine.begin() as other:
                other.exec_driver_sql("SET LOCAL lock_timeout = 100")
                other.exec_driver_sql("DELETE FROM idempotency_keys")

    event.listen(services.engine, "after_cursor_execute", erase)
    reply = client.post("/jobs", json=TEXT, headers=keyed("k"))
    assert (reply.status_code, reply.json.get("id")) == (202, first)


def test_a_refused_request_does_not_use_up_its_key(client):
    assert client.post("/jobs", json={"text": ""}, headers=keyed("k")).status_code == 422
    assert client.post("/jobs", json=TEXT, headers=keyed("k")).status_code == 202


def test_predict_waits_for_the_job_that_it_has_made(client, jobs):
    first = client.post("/predict", json=TEXT, headers=keyed("k") | {"Prefer": "wait=0"})
    jobs.complete(uuid.UUID(first.json["id"]))
    again = client.post("/predict", json=TEXT, headers=keyed("k"))
    assert (first.status_code, again.status_code) == (202, 200)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json["segments"]


def test_an_upload_is_known_by_its_content_and_stored_once(client, services, tmp_path):
    first, again = (upload(client, "k", options='{"timeline_bins": 3}') for _ in range(2))
    assert first.json["id"] == again.json["id"]
    assert again.headers["Idempotency-Replayed"] == "true"
    (name,) = stored(tmp_path)
    assert services.jobs.get(uuid.UUID(first.json["id"]), "local").source == f"uploads/{name}"


@pytest.mark.parametrize(
    "other",
    [
        {"content": b"RIFF" * 99},
        {"name": "b.wav"},
        {"options": "{}"},
        {"options": '{"timeline_bins": 4}'},
    ],
)
def test_another_upload_under_the_same_key_is_refused(client, tmp_path, other):
    same = {"options": '{"timeline_bins": 3}'}
    upload(client, "k", **same)
    refused = upload(client, "k", **same | other)
    assert (refused.status_code, refused.json["code"]) == (422, "request.key_reused")
    assert len(stored(tmp_path)) == 1


def test_twenty_at_once_make_one_job(app, tmp_path):
    def post(number: int) -> tuple[str, bool]:
        client = app.test_client()
        if number % 2:
            reply = client.post("/jobs", json=TEXT, headers=keyed("text"))
        else:
            reply = upload(client, "upload")
        assert reply.status_code == 202, reply.json
        return reply.json["id"], "Idempotency-Replayed" in reply.headers

    with ThreadPoolExecutor(20) as pool:
        outcomes = list(pool.map(post, range(40)))
    assert len({job for job, _ in outcomes}) == 2
    assert [replayed for _, replayed in outcomes].count(False) == 2
    assert len(stored(tmp_path)) == 1


@pytest.mark.parametrize("key", ["", "a b", "ä", "x" * 256, "a\tb"])
def test_a_key_is_visible_ascii_and_not_too_long(client, key, tmp_path):
    reply = client.post("/jobs", json=TEXT, headers=keyed(key))
    assert (reply.status_code, reply.json["code"]) == (422, "request.invalid")
    assert reply.json["errors"][0]["field"] == "Idempotency-Key"
    assert upload(client, key).status_code == 422
    assert not stored(tmp_path)


@pytest.mark.parametrize("key", ["x" * 255, "!", '"8e03978e-40d5-43dd-bc93-6894a57f9324"', "~"])
def test_any_visible_ascii_will_do(client, key):
    assert client.post("/jobs", json=TEXT, headers=keyed(key)).status_code == 202


def test_the_header_is_documented_where_it_is_read(client):
    paths = json.loads(client.get("/openapi.json").text)["paths"]
    documented = {
        f"{method.upper()} {path}"
        for path, operations in paths.items()
        for method, operation in operations.items()
        if method != "parameters"
        for parameter in operation.get("parameters", ())
        if parameter.get("name") == "Idempotency-Key"
    }
    assert documented == {"POST /jobs", "POST /batches", "POST /predict"}
