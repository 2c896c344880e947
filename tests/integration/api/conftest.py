"""The application on a real database and a real broker, and jobs in every state."""

from __future__ import annotations

import json
import uuid

import pytest
import sqlalchemy as sa
from analyses import make_analysis
from flask import Flask
from flask.testing import FlaskClient

from app.api import create_app
from app.api.services import EXTENSION
from app.jobs import JobStatus, NewJob
from app.models import JobRow, ResultRow
from app.settings import Settings
from ml.results import Analysis


@pytest.fixture
def settings(database, redis_url, tmp_path):
    return Settings.load(
        database_url=database,
        redis_url=redis_url,
        artifact_url=f"file://{tmp_path}/artifacts",
        source={"max_bytes": 100_000, "max_characters": 20_000},
        api={"wait_seconds": 0.2, "max_wait_seconds": 1},
    )


@pytest.fixture
def app(settings) -> Flask:
    app = create_app(settings)
    yield app
    app.extensions[EXTENSION].engine.dispose()


@pytest.fixture
def client(app) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def services(app):
    return app.extensions[EXTENSION]


class Jobs:
    """Puts jobs into the states that workers would bring them into."""

    def __init__(self, services) -> None:
        self._services = services

    def queued(self, text: str = "It works!", owner: str = "local") -> uuid.UUID:
        return self._services.jobs.submit(NewJob(kind="text", source=text, owner=owner)).id

    def running(self) -> uuid.UUID:
        return self._set(self.queued(), status=JobStatus.RUNNING, stage="classify", progress=0.5)

    def completed(self, analysis: Analysis | None = None) -> uuid.UUID:
        job_id = self.queued()
        self.complete(job_id, analysis)
        return job_id

    def complete(self, job_id: uuid.UUID, analysis: Analysis | None = None) -> None:
        body = json.loads(json.dumps((analysis or make_analysis()).to_dict()))
        with self._services.engine.begin() as connection:
            connection.execute(sa.insert(ResultRow).values(job_id=job_id, body=body))
        self._set(job_id, status=JobStatus.COMPLETED, progress=1.0, stage="aggregate")

    def failed(self, code: str = "media.no_audio") -> uuid.UUID:
        job_id = self.queued()
        self.fail(job_id, code)
        return job_id

    def fail(self, job_id: uuid.UUID, code: str = "media.no_audio") -> None:
        error = {"code": code, "message": "It did not work.", "hint": "Do something else."}
        self._set(job_id, status=JobStatus.FAILED, error=error)

    def _set(self, job_id: uuid.UUID, **values) -> uuid.UUID:
        with self._services.engine.begin() as connection:
            connection.execute(sa.update(JobRow).where(JobRow.id == job_id).values(**values))
        return job_id


@pytest.fixture
def jobs(services) -> Jobs:
    return Jobs(services)


@pytest.fixture
def workers(services) -> None:
    """A live worker on each queue."""
    for queue in ("cpu", "gpu"):
        services.workers.enter(f"{queue}-1", queue, "host", 1)
