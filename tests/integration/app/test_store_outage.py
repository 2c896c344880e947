"""What a store that is away for a while does to jobs: it delays them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from object_store import Weather
from one_worker import ME, RUN, Service

import ml.pipeline
from app.jobs import JobStatus
from app.stores.dispatch import DispatchStore


@pytest.fixture
def service(
    database: str, tmp_path: Path, stormy_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Service]:
    """A worker whose store stands in the weather, and which tries again at once."""
    stages = tuple(replace(stage, run=RUN[stage.name]) for stage in ml.pipeline.STAGES)
    monkeypatch.setattr(ml.pipeline, "STAGES", stages)
    service = Service(
        database,
        tmp_path,
        artifact_url=stormy_url,
        jobs={"max_retries": 1, "retry_seconds": 0.001, "retry_max_seconds": 0.001},
    )
    yield service
    service.engine.dispose()


@pytest.mark.parametrize("done", [0, 1, 4], ids=["fetch", "transcribe", "aggregate"])
def test_steps_outlast_an_outage(service: Service, weather: Weather, done: int) -> None:
    """More often than a job may fail otherwise, since the store is no fault of its."""
    job = service.upload()
    for _ in range(done):
        service.step()
    weather.day = "slow down"
    dispatch = DispatchStore(service.engine)
    for _ in range(3):
        service.step()
        time.sleep(0.01)
        assert dispatch.promote_waiting() == 1
    assert service.status(job.id) in (JobStatus.QUEUED, JobStatus.RUNNING)
    weather.day = "good"
    service.work()
    assert service.status(job.id) is JobStatus.COMPLETED
    assert service.jobs.result(job.id, ME)["segments"] == []


def test_an_outage_without_end_fails_the_job_in_the_end(
    service: Service, weather: Weather, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.runner._STORE_RETRIES", 2)
    job = service.upload()
    weather.day = "down"
    for _ in range(3):
        service.step()
        time.sleep(0.01)
        DispatchStore(service.engine).promote_waiting()
    failed = service.jobs.get(job.id, ME)
    assert failed.error
    assert (failed.status, failed.error.code) == (JobStatus.FAILED, "store.unavailable")
