"""Uploads into a bucket, and what clients hear while it is away."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import sqlalchemy as sa
from object_store import S3

from app.settings import Settings


@pytest.fixture
def settings(settings: Settings, stormy_url: str) -> Settings:
    return settings.model_copy(update={"artifact_url": stormy_url})


@pytest.fixture
def stored(s3: S3, stormy_url: str):
    return lambda: s3.objects(stormy_url.rpartition("/")[2])


def upload(client):
    return client.post("/jobs", data={"file": (io.BytesIO(b"RIFF" * 1000), "a.wav")})


def jobs(services) -> int:
    with services.engine.connect() as connection:
        return int(connection.execute(sa.text("SELECT count(*) FROM jobs")).scalar_one())


def test_an_upload_lies_in_the_bucket_and_nowhere_else(client, stored, tmp_path: Path):
    assert upload(client).status_code == 202
    assert len(stored()) == 1
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_while_the_store_is_away_an_upload_is_refused_whole(client, services, stored, weather):
    weather.day = "slow down"
    reply = upload(client)
    assert (reply.status_code, reply.json["code"]) == (503, "store.unavailable")
    assert reply.headers["Retry-After"]
    assert "127.0.0.1" not in reply.text
    assert (jobs(services), stored()) == (0, [])
    assert client.post("/jobs", json={"text": "Texts need no store."}).status_code == 202
    weather.day = "good"
    assert upload(client).status_code == 202


def test_a_job_that_is_refused_is_refused_for_its_own_reason(settings, weather, stored):
    """Although the upload cannot be taken back."""
    from app.api import create_app

    none = settings.jobs.model_copy(update={"max_queued": 0})
    client = create_app(settings.model_copy(update={"jobs": none})).test_client()
    weather.day = "no removal"
    reply = upload(client)
    assert (reply.status_code, reply.json["code"]) == (503, "queue.full")
    assert len(stored()) == 1


def test_erasing_is_accepted_and_done_later(client, services, stored, weather):
    job = upload(client).json["id"]
    weather.day = "down"
    assert client.delete(f"/jobs/{job}?erase=true").status_code == 202
    assert client.get(f"/jobs/{job}").status_code == 404
    assert len(stored()) == 1
