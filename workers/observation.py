"""What is told of each step from outside: one log line, one span, one measurement."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import structlog

from app.jobs import Claim
from app.tracing import Span, span
from workers.metrics import step_metrics

Outcome = Literal["done", "cancelled", "retried", "rewound", "failed", "lease_lost", "given_up"]
log = structlog.get_logger(__name__)
_LEVELS: dict[Outcome, int] = {"done": logging.INFO, "cancelled": logging.INFO}
"""Everything else is a warning."""


class Observation:
    """How the step that is being watched ends; until somebody says so, it has been given up."""

    def __init__(self) -> None:
        self.outcome: Outcome = "given_up"
        self.details: dict[str, str | float] = {}

    def end(self, outcome: Outcome, **details: str | float) -> None:
        """Note how it ended; an error by its ``code``."""
        self.outcome, self.details = outcome, details


@contextmanager
def observed(claim: Claim, worker: str) -> Iterator[Observation]:
    """Watch one attempt at a step; every log line in between carries what identifies it."""
    with (
        structlog.contextvars.bound_contextvars(
            job=str(claim.job_id),
            step=claim.step_id,
            stage=claim.stage,
            part=claim.part,
            attempt=claim.attempt,
            client=claim.owner,
            request_id=claim.origin.request_id,
            worker=worker,
        ),
        span(f"step {claim.stage}", "consumer", claim.origin.trace) as traced,
    ):
        log.debug("step.started")
        observation = Observation()
        began = time.perf_counter()
        try:
            yield observation
        finally:
            _tell(claim, observation, traced, time.perf_counter() - began)


def _tell(claim: Claim, observation: Observation, traced: Span, seconds: float) -> None:
    outcome, details = observation.outcome, observation.details
    code = details.get("code")
    log.log(
        _LEVELS.get(outcome, logging.WARNING),
        "step",
        outcome=outcome,
        ms=round(seconds * 1000, 1),
        **details,
    )
    step_metrics().observe(claim.stage, outcome, seconds, str(code) if code else None)
    traced.note(
        emotion_clf__job=str(claim.job_id),
        emotion_clf__stage=claim.stage,
        emotion_clf__part=claim.part,
        emotion_clf__attempt=claim.attempt,
        emotion_clf__outcome=outcome,
    )
    if code:
        traced.fail(str(code))
