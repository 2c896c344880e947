from __future__ import annotations

import subprocess
import sys

import pytest
from otlp_collector import collecting

from app.tracing import current_traceparent, span, start_tracing, stop_tracing


def test_without_an_endpoint_nothing_of_opentelemetry_is_imported() -> None:
    program = """
import sys
from app.tracing import current_traceparent, span, start_tracing, stop_tracing
start_tracing(None, "test")
with span("work", "consumer", None) as traced:
    traced.note(part=1)
    traced.fail("code")
    assert current_traceparent() is None
stop_tracing()
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("module", ["app.api", "workers.main"])
def test_a_process_that_shall_trace_and_cannot_does_not_start(module: str) -> None:
    program = f"""
import os, sys
sys.modules["opentelemetry.exporter"] = None
os.environ["EMOTION_CLF_TRACING__ENDPOINT"] = "http://localhost:4318"
sys.argv = [{module!r}, *{["cpu"] if module == "workers.main" else []}]
import runpy
runpy.run_module({module!r}, run_name="__main__")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 78, done.stderr
    assert "emotion-clf[tracing]" in done.stderr
    assert "Traceback" not in done.stderr


def test_spans_arrive_with_their_parent_and_without_the_words_of_errors() -> None:
    with collecting() as collector:
        start_tracing(collector.endpoint, "test")
        try:
            with span("request", "server", None):
                parent = current_traceparent()
            with pytest.raises(ValueError, match="what was said"), span("step", "consumer", parent):
                raise ValueError("what was said")
            with span("step", "consumer", "no traceparent") as traced:
                traced.note(emotion_clf__part=3)
                traced.fail("worker.lost")
        finally:
            stop_tracing()
        request, raised, root = collector.spans
    assert parent is not None
    assert parent.startswith(f"00-{request.trace}-{request.span}-")
    assert (raised.trace, raised.parent) == (request.trace, request.span)
    assert root.trace != request.trace
    assert root.failed
    assert root.attributes == {"emotion_clf.part": 3}
    assert "said" not in str(collector.spans)
    assert current_traceparent() is None


def test_a_collector_that_does_not_answer_holds_nothing_up() -> None:
    program = """
from app.logging import configure_logging
from app.tracing import span, start_tracing, stop_tracing
configure_logging("info", "test")
start_tracing("http://127.0.0.1:9", "test")
with span("step", "consumer", None):
    pass
stop_tracing()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert all(line.startswith("{") for line in done.stderr.splitlines())
    assert "Transient error" in done.stderr
