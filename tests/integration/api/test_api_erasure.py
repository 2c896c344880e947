"""``DELETE /jobs/{id}?erase=true``: nothing is left, and nobody else's is touched."""

from __future__ import annotations

import io
import uuid

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from app.jobs import NewJob
from app.storage import store_of
from app.stores.steps import StepStore


def erase(client, job_id):
    return client.delete(f"/jobs/{job_id}?erase=true")


@pytest.fixture
def uploaded(client):
    """A job that was uploaded, and so has a file."""
    form = {"file": (io.BytesIO(b"RIFF" * 100), "talk.wav")}
    return uuid.UUID(client.post("/jobs", data=form).json["id"])


@pytest.fixture
def files(tmp_path):
    return lambda: [path for path in (tmp_path / "artifacts").rglob("*") if path.is_file()]


@pytest.fixture
def running(services, uploaded):
    """A worker's claim on the job's first step."""
    with services.engine.connect() as connection:
        step = connection.execute(sa.text("SELECT id FROM steps")).scalar_one()
    return StepStore(services.engine).claim(step, "worker")


def test_an_ended_job_is_erased_before_the_answer(client, jobs, uploaded, files):
    jobs.complete(uploaded)
    assert len(files()) == 1
    reply = erase(client, uploaded)
    assert (reply.status_code, reply.data) == (204, b"")
    assert files() == []
    for path in ("", "/result", "/audio"):
        assert client.get(f"/jobs/{uploaded}{path}").status_code == 404
    assert client.get("/jobs").json["jobs"] == []
    assert erase(client, uploaded).status_code == 404


def test_a_job_that_waits_is_cancelled_and_erased(client, services, uploaded, files):
    assert erase(client, uploaded).status_code == 204
    assert files() == []
    with services.engine.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM steps")).scalar_one() == 0


def test_a_running_job_is_gone_at_once_and_its_files_when_the_worker_stops(
    client, services, uploaded, running, files
):
    reply = erase(client, uploaded)
    assert (reply.status_code, reply.data) == (202, b"")
    assert client.get(f"/jobs/{uploaded}").status_code == 404
    assert erase(client, uploaded).status_code == 404
    assert len(files()) == 1
    StepStore(services.engine).stop(running)
    assert services.erasures.finish() == 1


def test_a_store_that_is_away_is_said_so(client, jobs, uploaded, monkeypatch):
    def away(self, key):
        raise TimeoutError

    monkeypatch.setattr("ml.artifacts.ArtifactStore.delete", away)
    assert erase(client, uploaded).status_code == 202
    assert client.get(f"/jobs/{uploaded}").status_code == 404


def test_what_happens_after_a_job_is_gone_does_not_bring_it_back(
    client, services, uploaded, monkeypatch
):
    def too_slow(owner, remove):
        raise OperationalError("SELECT", {}, Exception())

    monkeypatch.setattr(services.erasures, "clear", too_slow)
    assert erase(client, uploaded).status_code == 202
    assert client.get(f"/jobs/{uploaded}").status_code == 404


def test_others_keep_theirs(client, services, uploaded, files):
    theirs = NewJob("upload", f"uploads/{uploaded.hex}", owner="somebody else")
    store_of(theirs.owner, services.artifacts).write(theirs.source, b"RIFF")
    job = services.jobs.submit(theirs)
    assert erase(client, job.id).status_code == 404
    assert erase(client, uploaded).status_code == 204
    assert services.jobs.get(job.id, theirs.owner) == job
    assert [path.read_bytes() for path in files()] == [b"RIFF"]


@pytest.mark.parametrize("value", ["yes", "1", "", "True"])
def test_only_true_erases(client, uploaded, value):
    reply = client.delete(f"/jobs/{uploaded}?erase={value}")
    assert (reply.status_code, reply.json["code"]) == (422, "request.invalid")
    assert client.get(f"/jobs/{uploaded}").json["status"] == "queued"


def test_without_it_a_job_is_cancelled(client, uploaded):
    reply = client.delete(f"/jobs/{uploaded}?erase=false")
    assert (reply.status_code, reply.json["status"]) == (200, "cancelled")
    assert client.get(f"/jobs/{uploaded}").status_code == 200


def test_a_link_that_expired_names_nothing(client, services):
    job = services.jobs.submit(NewJob("url", "https://example.org/x"))
    statement = "UPDATE jobs SET status = 'completed', expired = true, source = ''"
    with services.engine.begin() as connection:
        connection.execute(sa.text(statement))
    shown = client.get(f"/jobs/{job.id}").json
    assert shown["title"] is None
    assert "result" not in shown["links"]
    reply = client.get(f"/jobs/{job.id}/result")
    assert (reply.status_code, reply.json["code"]) == (410, "job.expired")
