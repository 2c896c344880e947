"""Any order of submitting, claiming, dying, finishing and cancelling keeps the promises."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import ClassVar

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from app.db import create_db_engine
from app.errors import JobFinished, KeyReused, LeaseLost
from app.jobs import (
    JOB_TRANSITIONS,
    Claim,
    Job,
    JobError,
    JobStatus,
    NewJob,
    NextStage,
    Output,
    Progress,
    Repeatable,
    terminal,
)
from app.stores.dispatch import DispatchStore
from app.stores.jobs import JobStore
from app.stores.steps import StepStore
from ml.errors import Cancelled

OWNER = "local"
ERROR = JobError("text.empty", "The text is empty.", "Send a word.")
FOLLOWING = {
    "segment": NextStage("classify", "gpu", 2, 0.3),
    "classify": NextStage("aggregate", "cpu", 1, 0.9),
    "aggregate": None,
}
MAX_ATTEMPTS = 3


class Machine(RuleBasedStateMachine):
    """Jobs of three stages, the second with two parts, under clients, workers and deaths."""

    engine: sa.Engine
    ends: ClassVar[Counter[str]] = Counter()
    """How jobs ended, over all runs: what the machine has seen of what may happen."""
    refused: ClassVar[Counter[str]] = Counter()
    """What was refused, and why."""
    jobs_submitted = Bundle("jobs_submitted")
    claims = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        with self.engine.begin() as connection:
            connection.execute(sa.text("TRUNCATE jobs, idempotency_keys CASCADE"))
        self.jobs = JobStore(self.engine)
        self.steps = StepStore(self.engine)
        self.dispatch = DispatchStore(self.engine, max_attempts=MAX_ATTEMPTS)
        self.ended: dict[object, Job] = {}
        self.progress: dict[object, float] = {}
        self.promised: dict[str, tuple[str, Job]] = {}

    @rule(target=jobs_submitted)
    def submit(self) -> Job:
        return self.jobs.submit(NewJob("text", "Hello."))

    @rule(target=jobs_submitted, key=st.sampled_from("kl"), body=st.sampled_from("xy"))
    def submit_repeatably(self, key: str, body: str) -> object:
        try:
            job = self.jobs.submit(NewJob("text", body), Repeatable(key, body))
        except KeyReused:
            assert self.promised[key][0] != body
            self.refused["KeyReused"] += 1
            return multiple()
        first_body, first = self.promised.setdefault(key, (body, job))
        assert (first_body, first.id) == (body, job.id)
        return multiple(job) if first is job else multiple()

    @rule(target=claims, job=jobs_submitted, worker=st.sampled_from(["a", "b"]))
    def claim(self, job: Job, worker: str) -> object:
        found = self.rows("SELECT id FROM steps WHERE job_id = :job ORDER BY id DESC", job=job.id)
        claimed = [claim for row in found if (claim := self.steps.claim(row.id, worker))]
        return multiple(*claimed)

    @rule(claim=claims, fraction=st.floats(0, 1))
    def heartbeat(self, claim: Claim, fraction: float) -> None:
        self.write(lambda: self.steps.heartbeat(claim, Progress(fraction, "", 0.3, 0.5)))

    @rule(claim=claims)
    def finish(self, claim: Claim) -> None:
        key = f"{claim.stage}-{claim.part}-{claim.attempt}"
        self.write(
            lambda: self.steps.finish(claim, Output(key), FOLLOWING[claim.stage], {"key": key})
        )

    @rule(job=jobs_submitted, end=st.sampled_from(["finish", "finish", "fail"]))
    def work_undisturbed(self, job: Job, end: str) -> None:
        for _ in FOLLOWING:
            for row in self.rows("SELECT id FROM steps WHERE job_id = :job", job=job.id):
                claim = self.steps.claim(row.id, "c")
                if claim:
                    getattr(self, end)(claim)

    @rule(claim=consumes(claims))
    def fail(self, claim: Claim) -> None:
        self.write(lambda: self.steps.fail(claim, ERROR))

    @rule(claim=claims)
    def retry(self, claim: Claim) -> None:
        self.write(lambda: self.steps.retry(claim, ERROR, 0))
        self.dispatch.promote_waiting()

    @rule(claim=claims)
    def stop(self, claim: Claim) -> None:
        if self.jobs.get(claim.job_id, OWNER).status is JobStatus.CANCELLED:
            self.write(lambda: self.steps.stop(claim))

    @rule(worker=st.sampled_from(["a", "b"]))
    def shut_down(self, worker: str) -> None:
        self.steps.release(worker)

    @rule(claim=claims)
    def die(self, claim: Claim) -> None:
        with self.engine.begin() as connection:
            expire = "UPDATE steps SET lease_until = now() - interval '1 s' WHERE id = :id"
            connection.execute(sa.text(expire), {"id": claim.step_id})
        self.dispatch.revive_expired()

    @rule(claim=claims)
    def die_noticed(self, claim: Claim) -> None:
        worker = self.rows("SELECT worker FROM steps WHERE id = :id", id=claim.step_id)[0][0]
        self.dispatch.lose(claim.step_id, str(worker))

    @rule(job=jobs_submitted)
    def kill_every_worker(self, job: Job) -> None:
        for _ in range(MAX_ATTEMPTS):
            for row in self.rows("SELECT id FROM steps WHERE job_id = :job", job=job.id):
                if self.steps.claim(row.id, "d"):
                    self.dispatch.lose(row.id, "d")

    @rule(job=jobs_submitted)
    def cancel(self, job: Job) -> None:
        try:
            self.jobs.cancel(job.id, OWNER)
        except JobFinished:
            assert self.jobs.get(job.id, OWNER).status in ("completed", "failed")

    @invariant()
    def ended_jobs_never_change(self) -> None:
        for job in self.jobs.list(OWNER, None, None, 1000).jobs:
            if job.id in self.ended:
                assert job == self.ended[job.id]
            elif job.status in terminal(JOB_TRANSITIONS):
                self.ended[job.id] = job
                self.ends[job.error.code if job.error else job.status] += 1

    @invariant()
    def progress_never_decreases(self) -> None:
        for job in self.jobs.list(OWNER, None, None, 1000).jobs:
            assert self.progress.get(job.id, 0.0) <= job.progress <= 1
            self.progress[job.id] = job.progress

    @invariant()
    def completed_jobs_and_no_others_have_a_result(self) -> None:
        assert not self.rows(
            "SELECT 1 FROM jobs LEFT JOIN results ON job_id = id"
            " WHERE (status = 'completed') <> (job_id IS NOT NULL)"
        )

    @invariant()
    def an_open_job_can_go_on(self) -> None:
        assert not self.rows(
            "SELECT 1 FROM jobs WHERE status IN ('queued', 'running') AND NOT EXISTS ("
            " SELECT 1 FROM steps WHERE job_id = jobs.id"
            " AND state IN ('waiting', 'ready', 'running'))"
        )

    @invariant()
    def no_step_lost_more_workers_than_allowed(self) -> None:
        assert not self.rows("SELECT 1 FROM steps WHERE losses > :most", most=MAX_ATTEMPTS)

    def rows(self, query: str, **parameters: object) -> list[sa.Row[tuple[object, ...]]]:
        with self.engine.connect() as connection:
            return list(connection.execute(sa.text(query), parameters).all())

    def write(self, write: Callable[[], object]) -> None:
        """Make a write that may come too late."""
        try:
            write()
        except (LeaseLost, Cancelled) as error:
            self.refused[type(error).__name__] += 1


@pytest.mark.timeout(180)
def test_the_promises_hold_in_any_order(database: str) -> None:
    Machine.engine = create_db_engine(database)
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=40,
            derandomize=True,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    Machine.engine.dispose()
    assert set(Machine.ends) >= {"completed", "cancelled", "text.empty", "worker.lost"}
    assert set(Machine.refused) == {"LeaseLost", "Cancelled", "KeyReused"}
