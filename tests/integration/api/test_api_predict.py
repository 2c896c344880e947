"""``POST /predict``: waiting, and not waiting."""

from __future__ import annotations

import io
import threading
import time
import uuid
from contextlib import contextmanager

import pytest
from analyses import make_analysis

from ml.results import Analysis


@contextmanager
def worker(services, act):
    """Do ``act`` to the next job that is submitted, as a worker would."""
    stop = threading.Event()

    def work():
        while not stop.wait(0.01):
            page = services.jobs.list("local", None, None, 1)
            if page.jobs:
                act(page.jobs[0].id)
                return

    thread = threading.Thread(target=work)
    thread.start()
    yield
    stop.set()
    thread.join()


def test_the_result_comes_at_once_when_it_is_ready_in_time(client, services, jobs):
    with worker(services, jobs.complete):
        reply = client.post(
            "/predict", json={"text": "It works!"}, headers={"Prefer": "respond-async, wait=1"}
        )
    assert reply.status_code == 200
    assert reply.headers["Preference-Applied"] == "wait=1"
    assert Analysis.from_dict(reply.json) == make_analysis()


def test_the_job_comes_when_it_takes_longer(client):
    began = time.monotonic()
    reply = client.post("/predict", json={"text": "It works!"})
    assert reply.status_code == 202
    assert time.monotonic() - began > 0.15
    assert "Preference-Applied" not in reply.headers
    assert reply.headers["Location"] == f"/jobs/{reply.json['id']}"
    assert client.get(reply.headers["Location"]).json["id"] == reply.json["id"]


@pytest.mark.parametrize(
    ("header", "applied", "least"),
    [
        ("wait=0", "wait=0", 0),
        ("wait=999", "wait=1", 0.9),
        ("wait=999999999999999999999", None, 0.15),
        ("wait=soon", None, 0.15),
        ("wait=-1", None, 0.15),
        ("", None, 0.15),
    ],
)
def test_how_long_a_request_waits(client, header, applied, least):
    began = time.monotonic()
    reply = client.post("/predict", json={"text": "Hm."}, headers={"Prefer": header})
    assert reply.status_code == 202
    assert reply.headers.get("Preference-Applied") == applied
    assert least <= time.monotonic() - began < least + 5


def test_a_job_that_fails_meanwhile_is_answered_with_its_error(client, services, jobs):
    with worker(services, lambda job_id: jobs.fail(job_id, "source.not_found")):
        reply = client.post("/predict", json={"url": "https://example.org/x.mp3"})
    assert reply.status_code == 422
    assert reply.mimetype == "application/problem+json"
    assert reply.json["code"] == "source.not_found"
    assert reply.json["hint"] == "Do something else."


def test_a_job_that_is_cancelled_meanwhile(client, services):
    with worker(services, lambda job_id: services.jobs.cancel(job_id, "local")):
        reply = client.post("/predict", json={"text": "It works!"})
    assert (reply.status_code, reply.json["code"]) == (409, "job.cancelled")


def test_too_many_waiting_requests_do_not_wait(client, services, settings):
    permits = max(1, settings.api.threads // 2)
    for _ in range(permits):
        assert services.waiting.acquire(blocking=False)
    reply = client.post("/predict", json={"text": "Hm."}, headers={"Prefer": "wait=1"})
    assert reply.status_code == 202
    assert reply.headers["Preference-Applied"] == "wait=0"
    services.waiting.release(permits)


def test_uploads_are_not_for_predict(client):
    reply = client.post("/predict", data={"file": (io.BytesIO(b"x"), "a.wav")})
    assert (reply.status_code, reply.json["code"]) == (415, "request.unsupported_media_type")


def test_an_unknown_job_id_is_not_found(client):
    assert client.get(f"/jobs/{uuid.uuid4()}").json["code"] == "job.not_found"
