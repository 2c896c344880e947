"""Starts a worker: ``python -m workers.main cpu`` or ``python -m workers.main gpu``."""

from __future__ import annotations

import argparse
import secrets
import socket
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import structlog
from celery.exceptions import WorkerLostError
from celery.signals import task_failure, worker_ready, worker_shutting_down

from app.db import create_db_engine
from app.jobs import QUEUES, Queue
from app.logging import configure_logging
from app.queue import Broker
from app.settings import Settings
from app.storage import open_store
from app.stores.dispatch import DispatchStore
from app.stores.steps import StepStore
from app.stores.workers import WorkerStore
from app.tracing import require_tracing
from ml.errors import EmotionClfError, StoreRefused, StoreUnavailable
from ml.requirements import require, require_for_links
from workers.database import await_tables
from workers.metrics import served
from workers.presence import Presence
from workers.pulse import Pulse
from workers.scratch import sweep

WARM: dict[Queue, list[str]] = {"cpu": ["workers.warm_cpu"], "gpu": ["workers.warm_gpu"]}
"""Modules whose ``warm()`` loads, in each child, what the first step would otherwise wait for."""

log = structlog.get_logger(__name__)


def node_name(queue: Queue) -> str:
    """Return a name that no other worker has or had, even one with the same process id."""
    return f"{queue}-{secrets.token_hex(4)}@{socket.gethostname()}"


def create_presence(settings: Settings, queue: Queue) -> Presence:
    """Return what speaks for this worker process."""
    jobs = settings.jobs
    engine = create_db_engine(settings.database_url, pool_size=2)
    return Presence(
        node_name(queue),
        workers=WorkerStore(
            engine,
            timeout_seconds=jobs.worker_timeout_seconds,
            patience_seconds=jobs.patience_seconds,
        ),
        steps=StepStore(engine, lease_seconds=jobs.lease_seconds),
        dispatch=DispatchStore(engine, max_attempts=jobs.max_attempts),
        broker=Broker(settings.redis_url),
        pulse=Pulse(queue),
        drain_seconds=jobs.drain_seconds,
        patience_seconds=jobs.patience_seconds,
    )


def connect_signals(presence: Presence) -> None:
    """Tell the presence what Celery notices in the parent process."""

    def ready(**_: object) -> None:
        presence.start()

    def shutting_down(**_: object) -> None:
        presence.drain()

    def failed(exception: BaseException, kwargs: dict[str, Any], **_: object) -> None:
        if isinstance(exception, WorkerLostError):
            presence.lose(int(kwargs["step_id"]))

    worker_ready.connect(ready, weak=False)
    worker_shutting_down.connect(shutting_down, weak=False)
    task_failure.connect(failed, weak=False)


def run(queue: Queue, settings: Settings) -> int:
    """Run a worker of one queue until it is told to stop; return its exit status."""
    from workers.celery_app import app  # reads the settings, which main has found sound

    presence = create_presence(settings, queue)
    # One process a GPU: two would each hold the models and take turns anyway.
    children = 1 if queue == "gpu" else settings.jobs.cpu_concurrency
    app.conf.update(
        include=[*app.conf.include, "workers.child"],
        emotion_clf_node=presence.worker,
        emotion_clf_queue=queue,
        emotion_clf_children=children,
        emotion_clf_warm=WARM[queue],
    )
    connect_signals(presence)
    worker = app.Worker(
        hostname=presence.worker,
        queues=[queue],
        pool="prefork",
        concurrency=children,
        without_gossip=True,
        without_mingle=True,
        task_events=True,
        quiet=True,  # or it draws a banner between the lines of the log
    )
    try:
        with served(settings.metrics, lambda: presence.losses):
            worker.start()
    finally:
        presence.leave()
        sweep(Path(tempfile.gettempdir()))
    return int(worker.exitcode or 0)


def verify(queue: Queue, settings: Settings) -> None:
    """Raise now if what the queue's work needs by these settings is missing or damaged.

    Loading happens in the child, where Celery would only log the error.
    """
    options = settings.pipeline_options()
    require_tracing(settings.tracing.endpoint)
    _verify_store(settings)
    if queue == "gpu":
        from ml.emotion.classify import verify as verify_classifier

        require(options, "upload")
        verify_classifier(options.classification)
        return
    require_for_links(options.source)
    if options.classification.features:
        from ml.text import features

        features.require()


def _verify_store(settings: Settings) -> None:
    store = open_store(settings)
    try:
        store.verify()
    except StoreRefused:
        raise
    except StoreUnavailable:
        # It may come up later, as the others that a worker waits for.
        log.warning("store.waited_for")


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m workers.main", description=__doc__)
    parser.add_argument("queue", choices=QUEUES)
    queue: Queue = parser.parse_args(arguments).queue
    try:
        settings = Settings.load()
        configure_logging(settings.log_level, f"{queue}-worker")
        verify(queue, settings)
        engine = create_db_engine(settings.database_url, pool_size=1)
        await_tables(engine, threading.Event(), Pulse(queue))
        engine.dispose()
        return run(queue, settings)
    except EmotionClfError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
