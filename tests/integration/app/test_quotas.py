"""Quotas of one client, where many ask at once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from app.db import create_db_engine
from app.errors import AudioQuotaExceeded, JobQuotaExceeded, QueueFull
from app.jobs import JobStatus, NewJob, NextStage, Output, Quotas
from app.models import UsageRow
from app.stores.jobs import JobStore
from app.stores.steps import StepStore
from ml.errors import EmotionClfError

LINK = NewJob("url", "https://example.org/a.mp3", owner="me")


@pytest.fixture
def engine(database: str) -> Iterator[sa.Engine]:
    engine = create_db_engine(database)
    with engine.begin() as connection:
        connection.execute(sa.delete(UsageRow))
    yield engine
    with engine.begin() as connection:
        connection.execute(sa.delete(UsageRow))
    engine.dispose()


def submit(jobs: JobStore, new: NewJob = LINK) -> str:
    """Submit a job; return the code of the error or what became of it."""
    try:
        return jobs.submit(new).status
    except EmotionClfError as error:
        return error.code


@pytest.mark.parametrize(
    ("quotas", "counted", "code"),
    [
        (Quotas(jobs_at_once=5), True, JobQuotaExceeded.code),
        (Quotas(creations_a_minute=5), False, "request.rate_limited"),
    ],
)
def test_exactly_as_many_are_let_in_as_the_quota_says(database, quotas, counted, code):
    engines = [create_db_engine(database) for _ in range(4)]
    stores = [JobStore(engine, quotas) for engine in engines]

    def attempt(number: int) -> str:
        try:
            return stores[number % 4].submit(LINK, counted=counted).status
        except EmotionClfError as error:
            return error.code

    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(attempt, range(60)))
    for engine in engines:
        engine.dispose()
    assert sorted(outcomes) == sorted([JobStatus.QUEUED] * 5 + [code] * 55)


def test_a_job_that_ends_makes_room_for_another(engine):
    jobs = JobStore(engine, Quotas(jobs_at_once=1))
    first = jobs.submit(LINK)
    assert submit(jobs) == JobQuotaExceeded.code
    assert submit(jobs, NewJob("text", "Hello.", owner="you")) == JobStatus.QUEUED
    jobs.cancel(first.id, "me")
    assert submit(jobs) == JobStatus.QUEUED


class Worker:
    """Fetches recordings of any length."""

    def __init__(self, engine: sa.Engine, quotas: Quotas) -> None:
        self._engine = engine
        self._steps = StepStore(engine, lease_seconds=60, quotas=quotas)

    def fetch(self, job_id, seconds: float) -> None:
        with self._engine.connect() as connection:
            query = sa.text("SELECT id FROM steps WHERE job_id = :job AND stage = 'fetch'")
            step_id = connection.execute(query, {"job": job_id}).scalar_one()
        claim = self._steps.claim(step_id, "worker")
        following = NextStage("transcribe", "gpu", 1, 0.2)
        self._steps.finish(claim, Output("audio", audio_seconds=seconds), following)


def test_audio_counts_when_it_is_fetched_and_only_what_is_worked_on(engine):
    quotas = Quotas(audio_seconds_a_day=100)
    jobs, worker = JobStore(engine, quotas), Worker(engine, quotas)
    first, second, third = (jobs.submit(LINK).id for _ in range(3))
    worker.fetch(first, 60)
    with pytest.raises(AudioQuotaExceeded):
        worker.fetch(second, 41)
    worker.fetch(third, 40)
    assert submit(jobs) == AudioQuotaExceeded.code
    assert submit(jobs, NewJob("text", "Hello.", owner="you")) == JobStatus.QUEUED


def test_yesterdays_audio_is_forgotten(engine):
    jobs = JobStore(engine, Quotas(audio_seconds_a_day=100))
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    with engine.begin() as connection:
        used = sa.insert(UsageRow).values(owner="me", day=yesterday, audio_seconds=1000)
        connection.execute(used)
    assert submit(jobs) == JobStatus.QUEUED


def test_refusals_say_when_to_come_again():
    assert JobQuotaExceeded().retry_seconds > 0
    assert 0 < AudioQuotaExceeded().retry_seconds <= 24 * 3600
    assert not hasattr(QueueFull(), "retry_seconds")
