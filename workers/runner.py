"""Runs one step: claims it, runs its stage, records how it ended."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import structlog

from app.errors import LeaseLost
from app.jobs import INTERNAL_ERROR, Claim, JobError, NextStage, Output, Progress
from app.settings import Settings
from app.storage import store_of
from app.stores.steps import StepStore
from ml.artifacts import ArtifactMissing, ArtifactStore
from ml.errors import Cancelled, EmotionClfError, StoreUnavailable
from ml.pipeline import StageResult, plan, run_stage
from ml.stage import Context, Input, Stage
from workers.database import patiently
from workers.lease import Lease
from workers.metrics import step_metrics
from workers.observation import Observation, observed

_STORE_RETRIES = 30
"""A store that is away is no fault of the job: by the default settings this is half an hour."""
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
        noted: list[str] = []
        with observed(claim, worker) as observation:
            try:
                self._end(claim, self._attempt(claim, noted), observation)
            except LeaseLost:
                if noted:  # perhaps only after the job was erased
                    patiently()(self._steps.discard, claim, noted)
                observation.end("lease_lost")

    def _attempt(
        self, claim: Claim, noted: list[str]
    ) -> EmotionClfError | ArtifactMissing | JobError | None:
        """Do the work; return the error that it ended with, if any."""
        try:
            self._work(claim, self._store(claim, noted))
        except (EmotionClfError, ArtifactMissing) as error:
            return error
        except LeaseLost:
            raise
        except Exception:
            log.exception("step.defect")
            return INTERNAL_ERROR
        return None

    def _end(
        self,
        claim: Claim,
        error: EmotionClfError | ArtifactMissing | JobError | None,
        observation: Observation,
    ) -> None:
        """Record an error; success was recorded with the work's own output."""
        if error is None:
            observation.end("done")
        elif isinstance(error, Cancelled):
            patiently()(self._steps.stop, claim)
            observation.end("cancelled")
        elif isinstance(error, ArtifactMissing):
            self._rewind(claim, observation)
        elif isinstance(error, JobError):
            patiently()(self._steps.fail, claim, error)
            observation.end("failed", code=error.code)
        elif error.transient and self._may_retry(claim, error):
            delay = self._retry_delay(claim.failures)
            if self._retry(claim, JobError.of(error), delay):
                observation.end("retried", code=error.code, delay=round(delay, 1))
            else:
                observation.end("cancelled")
        else:
            patiently()(self._steps.fail, claim, JobError.of(error))
            observation.end("failed", code=error.code)

    def _rewind(self, claim: Claim, observation: Observation) -> None:
        """Begin the job again: what an earlier step had stored is gone."""
        try:
            rewound = patiently()(self._steps.rewind, claim)
        except Cancelled as error:
            self._end(claim, error, observation)
            return
        if rewound:
            observation.end("rewound")
        else:
            self._end(claim, INTERNAL_ERROR, observation)

    def _store(self, claim: Claim, noted: list[str]) -> ArtifactStore:
        """Return its owner's artifacts for a step, which notes what it writes before it does."""

        def note(keys: Sequence[str]) -> None:
            patiently()(self._steps.note, claim, keys)
            noted.extend(keys)

        return store_of(claim.owner, self._artifacts).announcing(note)

    def _retry(self, claim: Claim, error: JobError, delay: float) -> bool:
        """Put the step aside; return False where its job was cancelled meanwhile."""
        try:
            patiently()(self._steps.retry, claim, error, delay)
        except Cancelled:
            patiently()(self._steps.stop, claim)
            return False
        return True

    def _may_retry(self, claim: Claim, error: EmotionClfError) -> bool:
        """Whether a step is retried once more; what the store was away for counts apart."""
        retries = self._settings.jobs.max_retries
        if isinstance(error, StoreUnavailable):
            return claim.store_failures < max(retries, _STORE_RETRIES)
        return claim.failures - claim.store_failures < retries

    def _retry_delay(self, failures: int) -> float:
        """Return a wait drawn from 0 to a bound that doubles with each failure.

        Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
        """
        jobs = self._settings.jobs
        bound = min(jobs.retry_max_seconds, jobs.retry_seconds * 2.0**failures)
        return random.uniform(0, bound)  # noqa: S311 - no secret

    def _work(self, claim: Claim, store: ArtifactStore) -> None:
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
                store=store,
                workdir=Path(directory),
                progress=lease.progress,
                check=lease.check,
            )
            inputs = patiently()(self._steps.outputs, claim.job_id)
            done = run_stage(stage, claim.part, context, inputs, scope=str(claim.job_id))
            following = stages[position + 1] if position + 1 < len(stages) else None
            self._finish(claim, store, done, following, base + span)
            if done.audio_seconds is not None:
                step_metrics().heard(done.audio_seconds)

    def _finish(
        self,
        claim: Claim,
        store: ArtifactStore,
        done: StageResult,
        following: Stage[Any] | None,
        reached: float,
    ) -> None:
        output = Output(done.key, done.blobs, done.audio_seconds)
        if following is None:
            result = msgspec.json.decode(store.read(done.key))
            patiently()(self._steps.finish, claim, output, None, result)
        else:
            after = NextStage(following.name, following.queue, done.next_parts, reached)
            patiently()(self._steps.finish, claim, output, after)


def _share(stages: tuple[Stage[Any], ...], position: int) -> tuple[float, float]:
    """Return the job's progress at the start of a stage, and what the stage adds."""
    total = sum(stage.weight for stage in stages)
    before = sum(stage.weight for stage in stages[:position])
    return before / total, stages[position].weight / total
