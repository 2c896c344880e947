"""What workers do with steps: claim, keep, finish, fail, give back.

Every write of a claim's holder is fenced (:mod:`app.stores.fence`). Locks are taken in the order
job, then step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Connection,
    Engine,
    func,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql import ColumnElement

from app.db import single_statements
from app.errors import LeaseLost
from app.jobs import (
    OPEN_JOBS,
    STEP_TRANSITIONS,
    Claim,
    JobError,
    JobStatus,
    NextStage,
    Origin,
    Output,
    Progress,
    Quotas,
    StepState,
    before,
)
from app.models import JobRow, ResultRow, StepRow
from app.stores.admission import charge
from app.stores.advances import advance, begin_again, progress_of_job
from app.stores.deletions import condemn
from app.stores.endings import cancel_idle_steps, end_job, fail_job, lock_job
from app.stores.fence import change, check, fence, is_done, lost
from app.stores.wakeup import notify, ring
from ml.errors import Cancelled


class StepStore:
    """Steps as workers see them. Safe to share between threads."""

    def __init__(
        self, engine: Engine, *, lease_seconds: float = 60.0, quotas: Quotas | None = None
    ) -> None:
        self._engine = engine
        self._lease = timedelta(seconds=lease_seconds)
        self._quotas = quotas or Quotas()

    def claim(self, step_id: int, worker: str) -> Claim | None:
        """Take a ready step; return None where there is nothing to take.

        That is the fate of a message that arrives twice, or after its job was cancelled.
        """
        with self._engine.begin() as connection:
            of_step = select(StepRow.job_id).where(StepRow.id == step_id).scalar_subquery()
            job = connection.execute(
                select(JobRow).where(JobRow.id == of_step).with_for_update()
            ).one_or_none()
            if job is None:
                return None
            if not _is_open(job):
                # A shutdown that gave the step back may have crossed with the cancelling.
                cancel_idle_steps(connection, job.id)
                return None
            step = connection.execute(
                update(StepRow)
                .where(StepRow.id == step_id)
                .where(StepRow.state.in_(before(STEP_TRANSITIONS, StepState.RUNNING)))
                .values(
                    state=StepState.RUNNING,
                    attempt=StepRow.attempt + 1,
                    worker=worker,
                    lease_until=func.now() + self._lease,
                    progress=0.0,
                    started_at=func.now(),
                )
                .returning(StepRow)
            ).one_or_none()
            if step is None:
                return None
            if (job.status, job.stage) != (JobStatus.RUNNING, step.stage):
                self._begin_stage(connection, job.id, step.stage)
        return Claim(
            step_id=step.id,
            job_id=job.id,
            owner=job.owner,
            kind=job.kind,
            source=job.source,
            title=job.title,
            options=job.options,
            stage=step.stage,
            part=step.part,
            parts=step.parts,
            attempt=step.attempt,
            failures=step.failures,
            store_failures=step.store_failures,
            lease_until=step.lease_until,
            origin=Origin(job.request_id, job.trace),
        )

    def heartbeat(self, claim: Claim, progress: Progress) -> bool:
        """Renew the lease and report progress; return whether the step shall stop.

        It shall when its job was cancelled, or failed in another part. Raises LeaseLost.
        Every running step calls it each second, so no row is locked but the one that is written.
        """
        renewal = (
            update(StepRow)
            .where(*fence(claim), JobRow.id == StepRow.job_id)
            .values(
                lease_until=func.now() + self._lease,
                progress=func.greatest(StepRow.progress, progress.fraction),
            )
            .returning(JobRow.status, JobRow.erasing)
        )
        with self._engine.connect() as connection, single_statements(connection):
            job = connection.execute(renewal).one_or_none()
            if job is None:
                raise lost(claim)
            if not _is_open(job):
                return True
            connection.execute(progress_of_job(claim, progress))
        return False

    def finish(
        self,
        claim: Claim,
        output: Output,
        following: NextStage | None,
        result: Mapping[str, Any] | None = None,
    ) -> None:
        """Record the output of a step and, after the last part of its stage, go on.

        The next stage becomes ready, or, where there is none, the job completes with its
        result, all in one transaction. Calling it again after a lost reply changes nothing.
        Raises LeaseLost, :class:`ml.errors.Cancelled` when the job has ended meanwhile, and
        :class:`app.errors.AudioQuotaExceeded` when its owner has used up the day's audio.
        """
        with self._engine.connect() as connection:
            with connection.begin():
                goes_on = self._finish(connection, claim, output, following, result or {})
            if goes_on:
                ring(connection)

    def _finish(
        self,
        connection: Connection,
        claim: Claim,
        output: Output,
        following: NextStage | None,
        result: Mapping[str, Any],
    ) -> bool:
        """Return whether another stage is ready now."""
        runs = self._job_runs(connection, claim.job_id)
        try:
            change(
                connection,
                claim,
                state=StepState.DONE,
                output_key=output.key,
                blobs=_with([output.key, *output.blobs]),
                progress=1.0,
                finished_at=func.now(),
            )
        except LeaseLost:
            if is_done(connection, claim, output.key):
                return False
            raise
        if not runs:
            raise Cancelled
        if output.audio_seconds is not None:
            self._charge(connection, claim, output.audio_seconds)
        if claim.parts > 1 and self._others_open(connection, claim):
            return False
        if following is None:
            self._complete(connection, claim.job_id, result)
            return False
        advance(connection, claim.job_id, following)
        return True

    def note(self, claim: Claim, keys: Sequence[str]) -> None:
        """Record which artifacts a step is about to write. Raises LeaseLost.

        So whatever becomes of the step or its worker, erasing the job finds them.
        """
        with self._engine.begin() as connection:
            change(connection, claim, blobs=_with(keys))

    def discard(self, claim: Claim, keys: Sequence[str]) -> None:
        """Have artifacts removed that a step wrote after it was lost, if no job refers to them."""
        with self._engine.begin() as connection:
            condemn(connection, [(claim.owner, key) for key in keys])

    def rewind(self, claim: Claim) -> bool:
        """Begin a job again from its first step, because artifacts that it needs are gone.

        Returns False, and changes nothing, where that was done too often.
        Raises LeaseLost, and :class:`ml.errors.Cancelled` when the job has ended meanwhile.
        """
        with self._engine.begin() as connection:
            runs = self._job_runs(connection, claim.job_id)
            check(connection, claim)
            if not runs:
                raise Cancelled
            rewound = begin_again(connection, claim)
            if rewound:
                notify(connection)
        return rewound

    def fail(self, claim: Claim, error: JobError) -> None:
        """End a step and its job with an error; other parts stop. Raises LeaseLost."""
        with self._engine.begin() as connection:
            lock_job(connection, claim.job_id)
            change(
                connection,
                claim,
                state=StepState.FAILED,
                error=asdict(error),
                finished_at=func.now(),
            )
            fail_job(connection, claim.job_id, error)

    def retry(self, claim: Claim, error: JobError, delay_seconds: float) -> None:
        """Put a step aside after a transient error; it is ready again after the delay."""
        with self._engine.begin() as connection:
            if not self._job_runs(connection, claim.job_id):
                raise Cancelled
            change(
                connection,
                claim,
                state=StepState.WAITING,
                failures=StepRow.failures + 1,
                store_failures=StepRow.store_failures + int(error.code.startswith("store.")),
                error=asdict(error),
                available_at=func.now() + timedelta(seconds=delay_seconds),
                published_at=None,
            )

    def stop(self, claim: Claim) -> None:
        """Acknowledge that a cancelled step has stopped. Raises LeaseLost."""
        with self._engine.begin() as connection:
            change(connection, claim, state=StepState.CANCELLED, finished_at=func.now())

    def release(self, worker: str) -> int:
        """Give back all steps of a worker that shuts down; return how many there were.

        They run elsewhere at once, and no loss is counted. What their old holder still
        writes is void, since the next claim has another attempt number.
        """
        with self._engine.begin() as connection:
            released = connection.execute(
                update(StepRow)
                .where(StepRow.worker == worker, StepRow.state == StepState.RUNNING)
                .values(state=StepState.READY, worker=None, published_at=None)
            )
            notify(connection)
        return released.rowcount

    def outputs(self, job_id: UUID) -> dict[str, list[str]]:
        """Return the artifact keys of the stages that are done, in part order."""
        query = (
            select(StepRow.stage, StepRow.output_key)
            .where(StepRow.job_id == job_id, StepRow.state == StepState.DONE)
            .order_by(StepRow.stage, StepRow.part)
        )
        keys: dict[str, list[str]] = {}
        with self._engine.connect() as connection, single_statements(connection):
            for stage, key in connection.execute(query):
                keys.setdefault(stage, []).append(str(key))
        return keys

    def _job_runs(self, connection: Connection, job_id: UUID) -> bool:
        """Lock the job, and return whether work on it makes sense."""
        return lock_job(connection, job_id) in OPEN_JOBS

    def _begin_stage(self, connection: Connection, job_id: UUID, stage: str) -> None:
        connection.execute(
            update(JobRow)
            .where(JobRow.id == job_id)
            .values(
                status=JobStatus.RUNNING,
                stage=stage,
                started_at=func.coalesce(JobRow.started_at, func.now()),
            )
        )

    def _others_open(self, connection: Connection, claim: Claim) -> bool:
        """Whether other parts of the stage are not done; the job's lock makes it exact."""
        query = select(func.count()).where(
            StepRow.job_id == claim.job_id,
            StepRow.stage == claim.stage,
            StepRow.state != StepState.DONE,
        )
        return connection.execute(query).scalar_one() > 0

    def _charge(self, connection: Connection, claim: Claim, seconds: float) -> None:
        """Note how long the recording is; a job that fetches it again pays once."""
        first = connection.execute(
            update(JobRow)
            .where(JobRow.id == claim.job_id, JobRow.audio_seconds.is_(None))
            .values(audio_seconds=seconds)
        )
        if first.rowcount:
            charge(connection, claim.owner, seconds, self._quotas)

    def _complete(self, connection: Connection, job_id: UUID, result: Mapping[str, Any]) -> None:
        connection.execute(insert(ResultRow).values(job_id=job_id, body=dict(result)))
        end_job(connection, job_id, JobStatus.COMPLETED, progress=1.0, detail="")


def _with(keys: Sequence[str]) -> ColumnElement[Any]:
    """Return what a step has noted, and ``keys``."""
    return func.coalesce(StepRow.blobs, literal([], JSONB)).op("||")(literal(list(keys), JSONB))


def _is_open(job: Any) -> bool:
    """Whether work on a job makes sense."""
    return not job.erasing and job.status in OPEN_JOBS
