"""What the views work with, made once for each application."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import cast

from flask import current_app
from sqlalchemy import Engine

from app.db import create_db_engine
from app.job_store import JobStore
from app.queue import Broker
from app.settings import Settings
from app.storage import open_store
from app.worker_store import WorkerStore
from ml.artifacts import ArtifactStore

EXTENSION = "emotion-clf"


@dataclass(frozen=True, slots=True)
class Services:
    """The job store, the artifacts and the connections behind them."""

    settings: Settings
    engine: Engine
    jobs: JobStore
    artifacts: ArtifactStore
    workers: WorkerStore
    broker: Broker
    waiting: threading.BoundedSemaphore = field(repr=False)
    """One permit for each request that may wait for a result at the same time."""

    @classmethod
    def of(cls, settings: Settings) -> Services:
        """Make the services that the settings describe. Nothing is connected to yet."""
        threads = settings.api.threads
        engine = create_db_engine(settings.database_url, pool_size=max(1, threads // 2))
        return cls(
            settings=settings,
            engine=engine,
            jobs=JobStore(engine, settings.quotas),
            artifacts=open_store(settings),
            workers=WorkerStore(engine, timeout_seconds=settings.jobs.worker_timeout_seconds),
            broker=Broker(settings.redis_url),
            # Half of the threads stay free for requests that do not wait.
            waiting=threading.BoundedSemaphore(max(1, threads // 2)),
        )


def services() -> Services:
    """Return the services of the application that answers the current request."""
    return cast(Services, current_app.extensions[EXTENSION])
