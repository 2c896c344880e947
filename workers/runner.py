"""Runs one step: claims it, runs its stage, records how it ended."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import structlog

from app.errors import LeaseLost
from app.jobs import INTERNAL_ERROR, Claim, JobError, NextStage, Output, Progress
from app.settings import Settings
from app.step_store import StepStore
from ml.artifacts import ArtifactStore
from ml.errors import Cancelled, EmotionClfError
from ml.pipeline import StageResult, plan, run_stage
from ml.stage import Context, Input, Stage
from workers.database import patiently
from workers.lease import Lease

log = structlog.get_logger(__name__)


class StepRunner:
    """Runs steps in this process, one at a time."""

    def __init__(self, settings: Settings, steps: StepStore, artifacts: ArtifactStore) -> None:
        self._settings = settings
        self._steps = steps
        self._artifacts = artifacts

    def run(self, step_id: int, worker: str) -> None:
        """Run a step if it can be claimed. Whatever goes wrong is recorded, not raised."""
        claim = patiently()(self._steps.claim, step_id, worker)
        if claim is None:
            return
        with structlog.contextvars.bound_contextvars(
            job=str(claim.job_id), stage=claim.stage, part=claim.part, attempt=claim.attempt
        ):
            log.info("step.started")
            try:
                self._end(claim, self._attempt(claim))
            except LeaseLost:
                log.warning("step.lease_lost")

    def _attempt(self, claim: Claim) -> EmotionClfError | JobError | None:
        """Do the work; return the error that it ended with, if any."""
        try:
            self._work(claim)
        except EmotionClfError as error:
            return error
        except LeaseLost:
            raise
        except Exception:
            log.exception("step.defect")
            return INTERNAL_ERROR
        return None

    def _end(self, claim: Claim, error: EmotionClfError | JobError | None) -> None:
        """Record an error; success was recorded with the work's own output."""
        if error is None:
            log.info("step.done")
        elif isinstance(error, Cancelled):
            patiently()(self._steps.stop, claim)
            log.info("step.cancelled")
        elif isinstance(error, JobError):
            patiently()(self._steps.fail, claim, error)
        elif error.transient and claim.failures < self._settings.jobs.max_retries:
            delay = self._retry_delay(claim.failures)
            log.warning("step.retried", code=error.code, delay=round(delay, 1))
            self._retry(claim, JobError.of(error), delay)
        else:
            log.warning("step.failed", code=error.code)
            patiently()(self._steps.fail, claim, JobError.of(error))

    def _retry(self, claim: Claim, error: JobError, delay: float) -> None:
        try:
            patiently()(self._steps.retry, claim, error, delay)
        except Cancelled:
            patiently()(self._steps.stop, claim)

    def _retry_delay(self, failures: int) -> float:
        """Return a wait drawn from 0 to a bound that doubles with each failure.

        Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
        """
        jobs = self._settings.jobs
        bound = min(jobs.retry_max_seconds, jobs.retry_seconds * 2.0**failures)
        return random.uniform(0, bound)  # noqa: S311 - no secret

    def _work(self, claim: Claim) -> None:
        stages = plan(claim.kind)
        position = [stage.name for stage in stages].index(claim.stage)
        stage = stages[position]
        base, span = _share(stages, position)

        def renew(fraction: float, detail: str) -> bool:
            return self._steps.heartbeat(claim, Progress(fraction, detail, base, span))

        with (
            tempfile.TemporaryDirectory(prefix="emotion-clf-") as directory,
            Lease(renew, self._settings.jobs.heartbeat_seconds) as lease,
        ):
            context = Context(
                source=Input(claim.kind, claim.source),
                options=self._settings.pipeline_options(claim.options),
                store=self._artifacts,
                workdir=Path(directory),
                progress=lease.progress,
                check=lease.check,
            )
            inputs = patiently()(self._steps.outputs, claim.job_id)
            done = run_stage(stage, claim.part, context, inputs, scope=str(claim.job_id))
            following = stages[position + 1] if position + 1 < len(stages) else None
            self._finish(claim, done, following, base + span)

    def _finish(
        self, claim: Claim, done: StageResult, following: Stage[Any] | None, reached: float
    ) -> None:
        output = Output(done.key, done.blobs, done.audio_seconds)
        if following is None:
            result = msgspec.json.decode(self._artifacts.read(done.key))
            patiently()(self._steps.finish, claim, output, None, result)
        else:
            after = NextStage(following.name, following.queue, done.next_parts, reached)
            patiently()(self._steps.finish, claim, output, after)


def _share(stages: tuple[Stage[Any], ...], position: int) -> tuple[float, float]:
    """Return the job's progress at the start of a stage, and what the stage adds."""
    total = sum(stage.weight for stage in stages)
    before = sum(stage.weight for stage in stages[:position])
    return before / total, stages[position].weight / total
