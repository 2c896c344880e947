"""Traces with OpenTelemetry, where ``tracing.endpoint`` names a collector.

Where it does not, nothing of OpenTelemetry is imported and every function here returns at once.
Spans carry names, numbers and identifiers; never text of a user, and never an address.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from ml.errors import ExtraMissing

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span as OpenTelemetrySpan

Role = Literal["server", "consumer"]
Attribute = str | int | float
TRACEPARENT = "traceparent"
"""The header of W3C Trace Context."""
_EXPORT_SECONDS = 5
_BATCH_MS = 1000
_GOODBYE_SECONDS = 2.0
_provider: TracerProvider | None = None


class Span:
    """What is being done. Where nothing is traced it forgets what it is told."""

    def __init__(self, inner: OpenTelemetrySpan | None = None) -> None:
        self._inner = inner

    def note(self, **attributes: Attribute) -> None:
        """Add attributes; a double underscore in a name stands for a dot."""
        if self._inner is not None:
            for name, value in attributes.items():
                self._inner.set_attribute(name.replace("__", "."), value)

    def fail(self, code: str) -> None:
        """Mark it as failed, with a code rather than a text."""
        if self._inner is not None:
            from opentelemetry.trace import Status, StatusCode

            self._inner.set_status(Status(StatusCode.ERROR, code))


def start_tracing(endpoint: str | None, service: str) -> None:
    """Export the spans of this process to a collector from now on; without one do nothing.

    ``service`` names the process: api, cpu-worker, gpu-worker. Where the collector does not
    answer spans are lost and the log says so; nothing else happens. End with :func:`stop_tracing`.
    Raises :class:`ml.errors.ExtraMissing`.
    """
    global _provider  # noqa: PLW0603 - one a process, as everywhere in OpenTelemetry
    if endpoint is None or _provider is not None:
        return
    require_tracing(endpoint)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=_EXPORT_SECONDS)
    resource = Resource.create({"service.name": service, "service.namespace": "emotion-clf"})
    _provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    _provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=_BATCH_MS))


def require_tracing(endpoint: str | None) -> None:
    """Raise :class:`ml.errors.ExtraMissing` if there is an endpoint but no OpenTelemetry."""
    if endpoint is None:
        return
    try:
        import opentelemetry.exporter.otlp.proto.http
        import opentelemetry.sdk.trace  # noqa: F401
    except ImportError as error:
        raise ExtraMissing(
            "tracing.endpoint is set, and OpenTelemetry is not installed.",
            hint="Install it with pip install 'emotion-clf[tracing]', or unset tracing.endpoint.",
        ) from error


def stop_tracing() -> None:
    """Export what is left, but hold up the end of the process for two seconds at most."""
    global _provider  # noqa: PLW0603
    if _provider is None:
        return
    # OpenTelemetry's own time-out is half a minute, whatever it is told.
    closing = threading.Thread(target=_provider.shutdown, daemon=True)
    _provider = None
    closing.start()
    closing.join(_GOODBYE_SECONDS)


def current_traceparent() -> str | None:
    """Return the W3C ``traceparent`` of the span around the caller; None where there is none."""
    if _provider is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get(TRACEPARENT)


@contextmanager
def span(name: str, role: Role, parent: str | None) -> Iterator[Span]:
    """Time what happens inside, as a child of the span that the ``traceparent`` names."""
    if _provider is None:
        yield Span()
        return
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier = {TRACEPARENT: parent} if parent else {}
    with _provider.get_tracer("emotion_clf").start_as_current_span(
        name,
        context=TraceContextTextMapPropagator().extract(carrier),
        kind=SpanKind[role.upper()],
        # The text of an exception may quote what somebody said.
        record_exception=False,
        set_status_on_exception=False,
    ) as inner:
        yield Span(inner)
