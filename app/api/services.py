"""What the views work with, made once for each application."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import cast

from flask import current_app
from sqlalchemy import Engine

from app.auth import Tokens
from app.db import create_db_engine
from app.queue import Broker
from app.rate_limit import RateLimiter
from app.settings import Settings
from app.storage import open_store
from app.stores.batches import BatchStore
from app.stores.clients import ClientStore
from app.stores.deliveries import DeliveryStore
from app.stores.erasure import ErasureStore
from app.stores.gauges import GaugeStore
from app.stores.jobs import JobStore
from app.stores.statistics import StatsStore
from app.stores.workers import WorkerStore
from ml.artifacts import ArtifactStore

EXTENSION = "emotion-clf"


@dataclass(frozen=True, slots=True)
class Services:
    """The job store, the artifacts and the connections behind them."""

    settings: Settings
    engine: Engine
    jobs: JobStore
    batches: BatchStore
    clients: ClientStore
    tokens: Tokens
    deliveries: DeliveryStore
    erasures: ErasureStore
    artifacts: ArtifactStore
    """Those of all owners; see :func:`app.storage.store_of`."""
    workers: WorkerStore
    stats: StatsStore
    gauges: GaugeStore
    broker: Broker
    limiter: RateLimiter
    waiting: threading.BoundedSemaphore = field(repr=False)
    """One permit for each request that may wait for a result at the same time."""
    stopping: threading.Event = field(default_factory=threading.Event, repr=False)
    """Set when the process shall end: whoever waits, waits no longer."""

    @classmethod
    def of(cls, settings: Settings) -> Services:
        """Make the services that the settings describe. Nothing is connected to yet."""
        threads = settings.api.threads
        engine = create_db_engine(settings.database_url, pool_size=max(1, threads // 2))
        return cls(
            settings=settings,
            engine=engine,
            jobs=JobStore(engine, settings.quotas),
            batches=BatchStore(engine, settings.quotas),
            clients=ClientStore(engine),
            tokens=Tokens(settings.auth),
            deliveries=DeliveryStore(engine),
            erasures=ErasureStore(engine),
            artifacts=open_store(settings),
            workers=WorkerStore(
                engine,
                timeout_seconds=settings.jobs.worker_timeout_seconds,
                patience_seconds=settings.jobs.patience_seconds,
            ),
            stats=StatsStore(engine),
            gauges=GaugeStore(engine),
            broker=Broker(settings.redis_url),
            limiter=RateLimiter(settings.limits.redis_url or settings.redis_url),
            # Half of the threads stay free for requests that do not wait.
            waiting=threading.BoundedSemaphore(max(1, threads // 2)),
        )


def services() -> Services:
    """Return the services of the application that answers the current request."""
    return cast(Services, current_app.extensions[EXTENSION])
