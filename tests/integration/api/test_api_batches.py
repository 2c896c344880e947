"""``/batches`` on a real database."""

from __future__ import annotations

import json
import uuid

import pytest

from app.jobs import NewBatch, NewJob

URL = "https://www.youtube.com/watch?v=dQw4w9WgXcQ"
ITEMS = [{"text": "I love it.", "id": "first"}, {"url": URL}, {"text": "I hate it."}]


@pytest.fixture
def batch(client):
    reply = client.post("/batches", json={"items": ITEMS, "title": "Three"})
    assert reply.status_code == 202
    return reply.json


@pytest.fixture
def foreign(services) -> uuid.UUID:
    texts = (NewJob("text", "Theirs.", owner="somebody else"),)
    return services.batches.submit(NewBatch(texts, "somebody else")).id


def jobs_of(client, batch):
    return client.get(batch["links"]["jobs"]).json["jobs"]


def test_links_and_texts_are_accepted_together(client):
    reply = client.post("/batches", json={"items": ITEMS, "title": "Three"})
    assert reply.status_code == 202
    here = reply.headers["Location"]
    assert client.get(here).json == reply.json
    assert (reply.json["title"], reply.json["total"]) == ("Three", 3)
    assert reply.json["counts"] == {
        "queued": 3,
        "running": 0,
        "completed": 0,
        "failed": 0,
        "cancelled": 0,
    }
    assert (reply.json["progress"], reply.json["finished"]) == (0, False)
    assert reply.json["links"]["cancel"] == here


def test_its_jobs_are_listed_in_its_order(client, batch, jobs):
    jobs.queued()
    listed = jobs_of(client, batch)
    assert [job["title"] for job in listed] == ["first", URL, "I hate it."]
    assert [job["batch_index"] for job in listed] == [0, 1, 2]
    assert {job["batch_id"] for job in listed} == {batch["id"]}
    assert len(client.get("/jobs").json["jobs"]) == 4
    assert client.get(f"{batch['links']['jobs']}&limit=2").json["links"]["next"]


def test_an_item_wins_over_what_holds_for_all(client):
    options = {"timeline_bins": 2, "features": False}
    items = [{"text": "One."}, {"text": "Two.", "options": {"timeline_bins": 7}}]
    reply = client.post("/batches", json={"items": items, "options": options})
    first, second = jobs_of(client, reply.json)
    assert first["options"] == options
    assert second["options"] == {"timeline_bins": 7, "features": False}


def test_everything_that_is_wrong_is_named(client, services):
    items = [
        {"text": "Good."},
        {"url": "ftp://example.org/a.mp3"},
        {"text": "a", "url": URL},
        {"text": " "},
        {"text": "x" * 20_001},
        {"text": "a", "options": {"timeline_bins": 0, "colour": "red"}},
        {"text": "a", "options": {"min_speakers": 5, "max_speakers": 2}},
        {"text": "a", "id": ""},
        {"text": "a", "options": []},
        "text",
    ]
    reply = client.post("/batches", json={"items": items})
    assert (reply.status_code, reply.json["code"]) == (422, "request.invalid")
    assert [error["field"] for error in reply.json["errors"]] == [
        "items.1.url",
        "items.2",
        "items.3",
        "items.4",
        "items.5.options.timeline_bins",
        "items.5.options.colour",
        "items.6",
        "items.7.id",
        "items.8.options",
        "items.9",
    ]
    assert services.batches.list("local", None, 10).batches == ()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "items"),
        ({"items": []}, "items"),
        ({"items": "text"}, "items"),
        ({"items": [{"text": "a"}] * 1001}, "items"),
        ({"items": ITEMS, "title": 3}, "title"),
        ({"items": ITEMS, "colour": "red"}, "colour"),
        ({"items": ITEMS, "options": {"timeline_bins": 0}}, "options.timeline_bins"),
        ([], ""),
    ],
)
def test_a_batch_that_is_wrong_as_a_whole_is_refused(client, body, field):
    reply = client.post("/batches", json=body)
    assert (reply.status_code, reply.json["code"]) == (422, "request.invalid")
    assert [error["field"] for error in reply.json["errors"]] == [field]


def test_what_is_wrong_with_all_items_is_said_once(client):
    options = {"min_speakers": 5, "max_speakers": 2}
    reply = client.post("/batches", json={"items": ITEMS, "options": options})
    assert (reply.status_code, reply.json["code"]) == (422, "option.invalid")
    hook = {"callback_url": "https://example.org/hook"}
    reply = client.post("/batches", json={"items": ITEMS, **hook})
    assert reply.json["code"].startswith("webhook")


def test_a_repeated_request_makes_nothing_new(client):
    made = [
        client.post("/batches", json={"items": ITEMS}, headers={"Idempotency-Key": "once"})
        for _ in range(2)
    ]
    assert {reply.status_code for reply in made} == {202}
    assert made[0].json == made[1].json
    assert made[1].headers["Idempotency-Replayed"] == "true"
    other = client.post("/batches", json={"items": ITEMS[:1]}, headers={"Idempotency-Key": "once"})
    assert (other.status_code, other.json["code"]) == (422, "request.key_reused")
    assert len(client.get("/jobs").json["jobs"]) == 3


@pytest.mark.parametrize(
    ("data", "kind", "status"),
    [
        ("{", "application/json", 400),
        ("[" * 100_000, "application/json", 400),
        ("items", "text/plain", 415),
        (json.dumps({"items": ["x" * 400_000]}), "application/json", 413),
    ],
)
def test_a_body_that_is_no_json_or_too_large_is_refused(client, data, kind, status):
    assert client.post("/batches", data=data, content_type=kind).status_code == status


def test_cancelling(client, batch, jobs):
    done = jobs_of(client, batch)[0]["id"]
    jobs.complete(uuid.UUID(done))
    for _ in range(2):
        reply = client.delete(batch["links"]["self"])
        assert reply.status_code == 200
        assert (reply.json["counts"]["cancelled"], reply.json["counts"]["completed"]) == (2, 1)
        assert (reply.json["progress"], reply.json["finished"]) == (1, True)
        assert "cancel" not in reply.json["links"]


def test_the_results_are_json_lines_in_the_order_of_the_items(client, batch, jobs):
    first, second, third = (uuid.UUID(job["id"]) for job in jobs_of(client, batch))
    jobs.complete(third)
    jobs.fail(first, "media.no_audio")
    reply = client.get(batch["links"]["results"])
    assert reply.content_type == "application/jsonl"
    lines = [json.loads(line) for line in reply.text.splitlines()]
    assert [(line["index"], line["job"], line["status"]) for line in lines] == [
        (0, str(first), "failed"),
        (1, str(second), "queued"),
        (2, str(third), "completed"),
    ]
    assert lines[0]["error"]["code"] == "media.no_audio"
    assert lines[1]["result"] is lines[1]["error"] is None
    assert lines[2]["result"] == client.get(f"/jobs/{third}/result").json
    assert [line["title"] for line in lines] == ["first", None, "I hate it."]


def test_the_list_goes_on_where_it_stopped(client):
    made = [client.post("/batches", json={"items": ITEMS[:1]}).json["id"] for _ in range(3)]
    found, address = [], "/batches?limit=2"
    while address:
        reply = client.get(address)
        found += [batch["id"] for batch in reply.json["batches"]]
        address = reply.json["links"]["next"]
    assert found == made[::-1]


def test_a_batch_of_somebody_else_is_not_found(client, foreign):
    for batch_id in (foreign, uuid.uuid4(), "no-uuid"):
        for reply in (
            client.get(f"/batches/{batch_id}"),
            client.get(f"/batches/{batch_id}/results"),
            client.delete(f"/batches/{batch_id}"),
        ):
            assert (reply.status_code, reply.json["code"]) == (404, "batch.not_found")
    assert client.get("/batches").json["batches"] == []
    assert client.get(f"/jobs?batch={foreign}").json["jobs"] == []
