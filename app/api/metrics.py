"""``/metrics``: what Prometheus reads."""

from __future__ import annotations

from collections.abc import Iterator

import structlog
from flask import Flask, Response, current_app
from flask.views import MethodView
from flask_smorest import Api, Blueprint
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from app.api.services import EXTENSION, Services
from app.queue import BrokerUnavailable

EXTENSION_REGISTRY = "emotion-clf-metrics"
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_METHODS = frozenset({"GET", "HEAD", "POST", "DELETE", "OPTIONS"})

blueprint = Blueprint("metrics", __name__, description="For Prometheus")
log = structlog.get_logger(__name__)


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

    def observe(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """Note one request; ``route`` is None where no route matched."""
        # A client may invent methods and addresses; labels must not grow with them.
        known = method if method in _METHODS else "other"
        self._seconds.labels(known, route or "none", str(status)).observe(seconds)


class _JobCollector(Collector):
    """Reads the state of jobs, workers and queues when Prometheus asks."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield from self._from_database()
        yield from self._from_broker()

    def _from_database(self) -> Iterator[GaugeMetricFamily]:
        up = GaugeMetricFamily("emotion_clf_database_up", "Whether the database answers")
        try:
            counts = self._services.jobs.counts()
            alive = self._services.workers.alive()
        except SQLAlchemyError:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        jobs = GaugeMetricFamily("emotion_clf_jobs", "Jobs by status", labels=["status"])
        for status, count in counts.by_status.items():
            jobs.add_metric([status], count)
        yield jobs
        yield GaugeMetricFamily(
            "emotion_clf_oldest_queued_seconds",
            "How long the oldest queued job has been waiting",
            value=counts.oldest_queued_seconds,
        )
        workers = GaugeMetricFamily("emotion_clf_workers", "Live workers", labels=["queue"])
        for queue, count in alive.items():
            workers.add_metric([queue], count)
        yield workers

    def _from_broker(self) -> Iterator[GaugeMetricFamily]:
        up = GaugeMetricFamily("emotion_clf_broker_up", "Whether the broker answers")
        try:
            depths = self._services.broker.depths()
        except BrokerUnavailable:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        waiting = GaugeMetricFamily(
            "emotion_clf_queue_length", "Messages that wait in the broker", labels=["queue"]
        )
        for queue, depth in depths.items():
            waiting.add_metric([queue], depth)
        yield waiting


@blueprint.route("/metrics")
class Metrics(MethodView):
    """Metrics of this process and of the jobs."""

    @blueprint.doc(operationId="metrics")
    @blueprint.response(200, {"type": "string"}, content_type="text/plain")
    def get(self) -> Response:
        """Return the metrics in Prometheus' text format."""
        registry = current_app.extensions[EXTENSION_REGISTRY]
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def register(app: Flask, api: Api) -> RequestMetrics:
    """Serve ``/metrics`` from ``app``; return what counts its requests."""
    registry = CollectorRegistry()
    registry.register(_JobCollector(app.extensions[EXTENSION]))
    ProcessCollector(registry=registry)
    app.extensions[EXTENSION_REGISTRY] = registry
    api.register_blueprint(blueprint)
    return RequestMetrics(registry)
