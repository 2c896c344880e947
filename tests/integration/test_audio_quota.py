"""A day's quota of audio, from the upload to the worker that fetches it."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from app.api import create_app
from app.api.services import EXTENSION
from app.models import UsageRow
from app.settings import Settings
from app.stores.steps import StepStore
from workers.runner import StepRunner


@pytest.fixture
def app(database, redis_url, tmp_path):
    settings = Settings.load(
        database_url=database,
        redis_url=redis_url,
        artifact_url=f"file://{tmp_path}/artifacts",
        limits={"audio_minutes_a_day": 0.3},
    )
    app = create_app(settings)
    engine = app.extensions[EXTENSION].engine
    yield app
    with engine.begin() as connection:
        connection.execute(sa.delete(UsageRow))
    engine.dispose()


def fetch(app, job_id: str) -> None:
    """Do what the CPU worker does with the first step of a job."""
    services = app.extensions[EXTENSION]
    with services.engine.connect() as connection:
        query = sa.text("SELECT id FROM steps WHERE job_id = :job")
        step_id = connection.execute(query, {"job": job_id}).scalar_one()
    steps = StepStore(services.engine, quotas=services.settings.quotas)
    StepRunner(services.settings, steps, services.artifacts).run(step_id, "worker")


def test_the_recording_that_exceeds_the_day_fails_and_the_next_is_refused(app, jfk):
    client = app.test_client()

    def submit():
        with jfk.open("rb") as recording:
            return client.post("/jobs", data={"file": (recording, "jfk.flac")})

    first, second = submit(), submit()
    for accepted in (first, second):
        fetch(app, accepted.json["id"])
    assert client.get(f"/jobs/{first.json['id']}").json["status"] == "running"
    exceeding = client.get(f"/jobs/{second.json['id']}").json
    assert (exceeding["status"], exceeding["error"]["code"]) == ("failed", "quota.audio")

    services = app.extensions[EXTENSION]
    with services.engine.begin() as connection:
        used = connection.execute(sa.select(UsageRow.audio_seconds)).scalar_one()
        assert used == pytest.approx(11, abs=0.1)
        connection.execute(sa.update(UsageRow).values(audio_seconds=18))
    refused = submit()
    assert (refused.status_code, refused.json["code"]) == (429, "quota.audio")
    assert 0 < int(refused.headers["Retry-After"]) <= 24 * 3600
    assert client.post("/jobs", json={"text": "It has no audio."}).status_code == 202
