"""What Prometheus reads from a worker.

The children count; the parent serves what all of them counted, those that died included, on
``metrics.worker_port``. Between them lies a directory of files, which is prometheus-client's
multiprocess mode.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from app.settings.sections import MetricsSettings
from workers.memory import gpu_memory, memory_limit, resident_bytes
from workers.scratch import claim

DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""prometheus-client reads it where it is first imported: in the children, not in the parent."""
_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
log = structlog.get_logger(__name__)


class StepMetrics:
    """Counts and times the steps of this process."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self._seconds = Histogram(
            "emotion_clf_step_duration_seconds",
            "Time of one attempt at a step",
            ("stage", "outcome"),
            buckets=_BUCKETS,
            registry=registry,
        )
        self._errors = Counter(
            "emotion_clf_step_errors_total",
            "Attempts that ended with an error, retried ones included",
            ("stage", "code"),
            registry=registry,
        )
        self._audio = Counter(
            "emotion_clf_audio_seconds_total", "Length of what was fetched", registry=registry
        )

    def observe(self, stage: str, outcome: str, seconds: float, code: str | None) -> None:
        """Note one attempt, and the code of the error that it ended with."""
        self._seconds.labels(stage, outcome).observe(seconds)
        if code is not None:
            self._errors.labels(stage, code).inc()

    def heard(self, seconds: float) -> None:
        """Note the length of a recording that was fetched."""
        self._audio.inc(seconds)


@cache
def step_metrics() -> StepMetrics:
    """Return the metrics of this process."""
    return StepMetrics()


class ParentCollector(Collector):
    """Reads, when Prometheus asks, what no child can tell of itself."""

    def __init__(self, losses: Callable[[], int]) -> None:
        self._losses = losses

    def collect(self) -> Iterator[Metric]:
        """Yield losses and memory, that of GPUs where there are any."""
        yield CounterMetricFamily(
            "emotion_clf_step_losses", "Processes that died with a step", value=self._losses()
        )
        memory = GaugeMetricFamily(
            "emotion_clf_worker_resident_memory_bytes",
            "Memory of the worker's processes: its parent, and its pool with what that started",
            labels=["role"],
        )
        for role, resident in resident_bytes(os.getpid()).items():
            memory.add_metric([role], resident)
        yield memory
        yield GaugeMetricFamily(
            "emotion_clf_worker_memory_limit_bytes",
            "What this worker may take before the system ends one of its processes",
            value=memory_limit(),
        )
        gpus = gpu_memory()
        if gpus:
            yield from gpu_families(gpus)


def gpu_families(gpus: list[tuple[int, int]]) -> Iterator[GaugeMetricFamily]:
    """Yield bytes in use and bytes in all of each GPU."""
    used = GaugeMetricFamily("emotion_clf_gpu_memory_used_bytes", "In use", labels=["gpu"])
    total = GaugeMetricFamily("emotion_clf_gpu_memory_total_bytes", "There is", labels=["gpu"])
    for index, (in_use, there_is) in enumerate(gpus):
        used.add_metric([str(index)], in_use)
        total.add_metric([str(index)], there_is)
    yield used
    yield total


@contextmanager
def served(settings: MetricsSettings, losses: Callable[[], int]) -> Iterator[None]:
    """Serve the metrics of the children that are started meanwhile, where a port is set.

    A port that is taken is an error in the log; the work does not wait for it.
    """
    # An API beside it may have one, whose figures are not ours.
    os.environ.pop(DIRECTORY_VARIABLE, None)
    if not settings.worker_port:
        yield
        return
    directory = claim(Path(tempfile.gettempdir()))
    os.environ[DIRECTORY_VARIABLE] = str(directory)
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(directory))  # type: ignore[no-untyped-call]
    registry.register(ParentCollector(losses))
    try:
        with _listening(settings, registry):
            yield
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def _listening(settings: MetricsSettings, registry: CollectorRegistry) -> Iterator[None]:
    host, port = settings.worker_host, settings.worker_port
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        log.error("metrics.not_served", host=host, port=port, error=error.strerror)
        yield
        return
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
