"""``/metrics``: what Prometheus reads."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from pathlib import Path

from flask import Flask, Response, current_app
from flask.views import MethodView
from flask_smorest import Api, Blueprint
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.process_collector import ProcessCollector

from app.api.job_metrics import JobCollector
from app.api.services import EXTENSION, Services

EXTENSION_REGISTRY = "emotion-clf-metrics"
"""Where what this process counts is registered."""
_DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""prometheus-client's own: where several processes of one API put what they count."""
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_METHODS = frozenset({"GET", "HEAD", "POST", "DELETE", "OPTIONS"})

blueprint = Blueprint("metrics", __name__, description="For Prometheus")


class RequestMetrics:
    """Counts and times requests by route template, never by address."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            "emotion_clf_http_request_duration_seconds",
            "Time to answer a request",
            ("method", "route", "status"),
            buckets=_BUCKETS,
            registry=registry,
        )
        self._in_flight = Gauge(
            "emotion_clf_http_requests_in_flight",
            "Requests that are being answered",
            multiprocess_mode="livesum",
            registry=registry,
        )

    def in_flight(self) -> AbstractContextManager[object]:
        """Count a request as being answered meanwhile."""
        return self._in_flight.track_inprogress()

    def observe(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """Note one request; ``route`` is None where no route matched."""
        # A client may invent methods and addresses; labels must not grow with them.
        known = method if method in _METHODS else "other"
        self._seconds.labels(known, route or "none", str(status)).observe(seconds)


@blueprint.route("/metrics")
class Metrics(MethodView):
    """Metrics of this service's processes and of the jobs."""

    @blueprint.doc(operationId="metrics")
    @blueprint.response(200, {"type": "string"}, content_type="text/plain")
    def get(self) -> Response:
        """Return the metrics in Prometheus' text format."""
        services: Services = current_app.extensions[EXTENSION]
        counted: CollectorRegistry = current_app.extensions[EXTENSION_REGISTRY]
        jobs = CollectorRegistry()
        jobs.register(JobCollector(services))
        text = generate_latest(_of_all_processes() or counted) + generate_latest(jobs)
        return Response(text, content_type=CONTENT_TYPE_LATEST)


def _of_all_processes() -> CollectorRegistry | None:
    """Return what all processes of the API have counted, where they share a directory."""
    directory = os.environ.get(_DIRECTORY_VARIABLE)
    if not directory:
        return None
    for path in Path(directory).glob("gauge_live*_*.db"):
        pid = path.stem.rpartition("_")[2]
        if not Path("/proc", pid).exists():
            # What it was answering when it died is not being answered any more.
            mark_process_dead(int(pid), directory)  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=directory)  # type: ignore[no-untyped-call]
    return registry


def register(app: Flask, api: Api) -> RequestMetrics:
    """Serve ``/metrics`` from ``app``; return what counts its requests."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    app.extensions[EXTENSION_REGISTRY] = registry
    api.register_blueprint(blueprint)
    return RequestMetrics(registry)
