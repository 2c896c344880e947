"""A job whose artifacts vanish begins again; it does not fail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from one_worker import ME, RUN, Service

import ml.pipeline
from app.errors import LeaseLost
from app.jobs import JobStatus, NewJob, NextStage, Output
from app.stores.advances import MAX_REWINDS
from ml.errors import Cancelled


@pytest.fixture
def service(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    stages = tuple(replace(stage, run=RUN[stage.name]) for stage in ml.pipeline.STAGES)
    monkeypatch.setattr(ml.pipeline, "STAGES", stages)
    service = Service(database, tmp_path)
    yield service
    service.engine.dispose()


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("lost", [("stages", "audio"), ("stages",), ("audio",)], ids=str)
def test_losing_the_artifacts_loses_no_job(service: Service, steps: int, lost: tuple[str]) -> None:
    job = service.upload()
    for _ in range(steps):
        service.step()
    service.lose(*lost)
    service.work()
    assert service.status(job.id) is JobStatus.COMPLETED
    assert service.jobs.get(job.id, ME).progress == 1.0


def test_a_text_begins_again_too(service: Service) -> None:
    job = service.jobs.submit(NewJob("text", "Hi.", owner=ME))
    service.step()
    service.lose("stages")
    service.step()
    assert service.stages() == [("segment", "ready")]
    service.work()
    assert service.status(job.id) is JobStatus.COMPLETED


def test_without_its_upload_a_job_cannot_begin_again(service: Service) -> None:
    job = service.upload()
    service.step()
    service.lose("stages", "audio", "uploads")
    service.work()
    error = service.jobs.get(job.id, ME).error
    assert error is not None
    assert error.code == "source.not_found"


def test_a_store_that_loses_everything_ends_the_job_at_last(service: Service) -> None:
    job = service.jobs.submit(NewJob("text", "Hi.", owner=ME))
    runs = 0
    while service.ready():
        service.step()
        service.lose("stages")
        runs += 1
    assert service.status(job.id) is JobStatus.FAILED
    assert runs == 2 * (MAX_REWINDS + 1)


def test_it_remembers_what_was_written_before(service: Service) -> None:
    """So that erasing the job finds it, whatever the second attempt writes."""
    service.upload()
    service.step()
    service.lose("stages")
    service.step()
    with service.engine.connect() as connection:
        noted = connection.execute(sa.text("SELECT blobs FROM steps")).scalar_one()
    assert {"uploads/1", "audio/1.wav"} < set(noted)


def test_only_who_holds_the_step_may_begin_again(service: Service) -> None:
    service.upload()
    claim = service.steps.claim(service.ready()[0], "worker")
    assert claim is not None
    service.steps.release("worker")
    with pytest.raises(LeaseLost):
        service.steps.rewind(claim)
    assert service.stages() == [("fetch", "ready")]


def test_a_cancelled_job_does_not_begin_again(service: Service) -> None:
    job = service.upload()
    claim = service.steps.claim(service.ready()[0], "worker")
    assert claim is not None
    service.jobs.cancel(job.id, ME)
    with pytest.raises(Cancelled):
        service.steps.rewind(claim)
    assert service.stages() == [("fetch", "running")]


def test_the_other_parts_hear_of_it(service: Service) -> None:
    service.upload()
    service.step()
    one, two = (service.steps.claim(step, "worker") for step in service.ready())
    assert one is not None
    assert two is not None
    assert service.steps.rewind(one) is True
    with pytest.raises(LeaseLost):
        service.steps.finish(two, Output("late"), NextStage("segment", "cpu", 1, 0.8))
    assert service.stages() == [("fetch", "ready")]


def test_the_artifacts_of_owners_lie_apart(service: Service) -> None:
    for owner in ("one", "another"):
        service.jobs.submit(NewJob("text", "Hi.", owner=owner))
    service.work()
    folders = [sorted(p.name for p in each.rglob("*.json")) for each in service.folder.iterdir()]
    assert len(folders) == 2
    assert folders[0] == folders[1] != []
