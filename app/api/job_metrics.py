"""Metrics of the jobs, steps, workers and queues: read when Prometheus asks, never counted here."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from app.api.services import Services
from app.jobs import QUEUES
from app.queue import BrokerUnavailable
from app.stores.gauges import Gauges

_RECENTLY = timedelta(hours=1)


class JobCollector(Collector):
    """Asks the database, the broker and the disk."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield what each of them says; of one that does not answer, that it does not."""
        yield from self._from_database()
        yield from self._from_broker()
        yield from _from_disk(self._services.settings.artifact_url)

    def _from_database(self) -> Iterator[GaugeMetricFamily]:
        try:
            families = [*self._jobs(), *self._workers(), *_steps(self._services.gauges.read())]
        except SQLAlchemyError:
            yield _gauge("database_up", "Whether the database answers", 0)
            return
        yield _gauge("database_up", "Whether the database answers", 1)
        yield from families

    def _jobs(self) -> Iterator[GaugeMetricFamily]:
        counts = self._services.jobs.counts()
        yield _by("jobs", "Jobs by status", "status", counts.by_status)
        yield _gauge(
            "oldest_queued_seconds",
            "How long the oldest queued job has been waiting",
            counts.oldest_queued_seconds,
        )
        factor = self._services.stats.real_time_factor(datetime.now(UTC) - _RECENTLY)
        if factor is not None:
            yield _gauge(
                "real_time_factor",
                "Time spent on hearing speech by its length, over the last hour",
                factor,
            )

    def _workers(self) -> Iterator[GaugeMetricFamily]:
        hanging = list(self._services.workers.hanging().values())
        yield _by("workers", "Live workers", "queue", self._services.workers.alive())
        yield _by(
            "workers_hanging",
            "Live workers that have nothing to do and do not take what waits",
            "queue",
            {queue: hanging.count(queue) for queue in QUEUES},
        )

    def _from_broker(self) -> Iterator[GaugeMetricFamily]:
        try:
            depths = self._services.broker.depths()
        except BrokerUnavailable:
            yield _gauge("broker_up", "Whether the broker answers", 0)
            return
        yield _gauge("broker_up", "Whether the broker answers", 1)
        yield _by("queue_length", "Messages that wait in the broker", "queue", depths)


def _steps(gauges: Gauges) -> Iterator[GaugeMetricFamily]:
    steps = GaugeMetricFamily("emotion_clf_steps", "Steps that are open", labels=["queue", "state"])
    for (queue, state), count in gauges.steps.items():
        steps.add_metric([queue, state], count)
    yield steps
    yield _by(
        "oldest_ready_step_seconds",
        "How long the oldest ready step has been waiting",
        "queue",
        gauges.oldest_ready_seconds,
    )
    recent = "of steps that are open or ended within the hour"
    for name, help_text, counts in (
        ("retries", f"Retries {recent}", {s: t.retries for s, t in gauges.trouble.items()}),
        ("losses", f"Workers lost {recent}", {s: t.losses for s, t in gauges.trouble.items()}),
        (
            "quarantined",
            "Steps given up within the hour because they lost too many workers",
            {s: t.quarantined for s, t in gauges.trouble.items()},
        ),
    ):
        yield _by(f"recent_step_{name}", help_text, "stage", counts)
    yield _gauge("deliveries_pending", "Reports to be delivered", gauges.deliveries_pending)
    yield _gauge("deliveries_failing", "Those that nobody took yet", gauges.deliveries_failing)


def _from_disk(artifact_url: str) -> Iterator[GaugeMetricFamily]:
    """Yield how full the disk is that artifacts lie on, where they lie on a disk."""
    address = urlsplit(artifact_url)
    if address.scheme != "file":
        return
    directory = Path(unquote(address.path))
    there = next(path for path in (directory, *directory.parents) if path.exists())
    usage = shutil.disk_usage(there)
    yield _gauge("artifact_disk_free_bytes", "Free where artifacts lie", usage.free)
    yield _gauge("artifact_disk_size_bytes", "Size of the disk of the artifacts", usage.total)


def _gauge(name: str, help_text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"emotion_clf_{name}", help_text, value=value)


def _by(name: str, help_text: str, label: str, values: Mapping[Any, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"emotion_clf_{name}", help_text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family
