from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from app.db import create_db_engine
from app.errors import (
    JobFailed,
    JobFinished,
    JobNotFinished,
    JobNotFound,
    LeaseLost,
    QueueFull,
)
from app.jobs import (
    Claim,
    Job,
    JobError,
    JobStatus,
    NewJob,
    NextStage,
    Output,
    Progress,
    Quotas,
    Step,
)
from app.stores.advances import progress_of_job
from app.stores.dispatch import DispatchStore
from app.stores.jobs import JobStore
from app.stores.steps import StepStore
from ml.errors import Cancelled, OptionInvalid, StoreUnavailable

ME = "local"
ERROR = JobError("text.empty", "The text is empty.", "Send a word.")
TEXT = NewJob("text", "Hello.", {"summary": {"timeline_bins": 3}}, title="A title")


@pytest.fixture
def engine(database: str) -> Iterator[sa.Engine]:
    engine = create_db_engine(database)
    yield engine
    engine.dispose()


@pytest.fixture
def jobs(engine: sa.Engine) -> JobStore:
    return JobStore(engine, Quotas(max_queued=5))


@pytest.fixture
def steps(engine: sa.Engine) -> StepStore:
    return StepStore(engine, lease_seconds=60)


@pytest.fixture
def dispatch(engine: sa.Engine) -> DispatchStore:
    return DispatchStore(engine, max_attempts=3, republish_seconds=60)


def ready(engine: sa.Engine, job: Job) -> list[int]:
    with engine.connect() as connection:
        query = "SELECT id FROM steps WHERE job_id = :job AND state = 'ready' ORDER BY id"
        return list(connection.execute(sa.text(query), {"job": job.id}).scalars())


def state_of(engine: sa.Engine, step_id: int) -> str:
    with engine.connect() as connection:
        query = sa.text("SELECT state FROM steps WHERE id = :id")
        return str(connection.execute(query, {"id": step_id}).scalar_one())


def execute(engine: sa.Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text(statement))


@pytest.fixture
def job(jobs: JobStore) -> Job:
    return jobs.submit(TEXT)


@pytest.fixture
def claim(engine: sa.Engine, steps: StepStore, job: Job) -> Claim:
    claim = steps.claim(ready(engine, job)[0], "worker-1")
    assert claim is not None
    return claim


def claim_next(engine: sa.Engine, steps: StepStore, job: Job) -> Claim:
    claim = steps.claim(ready(engine, job)[0], "worker-1")
    assert claim is not None
    return claim


class TestClients:
    def test_a_new_job_is_queued_with_one_ready_step(
        self, engine: sa.Engine, jobs: JobStore, job: Job
    ) -> None:
        assert jobs.get(job.id, ME) == job
        assert (job.status, job.progress, job.stage) == (JobStatus.QUEUED, 0.0, None)
        assert (job.source, job.title, job.options) == ("Hello.", "A title", TEXT.options)
        assert len(ready(engine, job)) == 1

    def test_what_postgres_cannot_hold_is_dropped(self, jobs: JobStore) -> None:
        assert jobs.submit(NewJob("text", "a\x00b\ud800c")).source == "ab?c"

    def test_a_long_text_is_shown_by_its_start(
        self, engine: sa.Engine, jobs: JobStore, steps: StepStore
    ) -> None:
        text = "x" * 100_000
        job = jobs.submit(NewJob("text", text))
        assert len(job.source) == 2048
        assert claim_next(engine, steps, job).source == text

    def test_a_full_queue_refuses(self, jobs: JobStore) -> None:
        for _ in range(5):
            jobs.submit(TEXT)
        with pytest.raises(QueueFull):
            jobs.submit(TEXT)

    def test_others_jobs_do_not_exist(self, jobs: JobStore, job: Job) -> None:
        for call in (jobs.get, jobs.cancel, jobs.result):
            with pytest.raises(JobNotFound):
                call(job.id, "somebody else")
            with pytest.raises(JobNotFound):
                call(uuid.uuid4(), ME)

    def test_pages_cover_the_list_once_newest_first(self, engine: sa.Engine) -> None:
        jobs = JobStore(engine)
        submitted = [jobs.submit(TEXT).id for _ in range(7)]
        execute(engine, "UPDATE jobs SET created_at = '2026-01-01'")  # ties are broken by id
        jobs.submit(NewJob("text", "x", owner="somebody else"))
        newest = jobs.submit(TEXT).id
        seen: list[uuid.UUID] = []
        cursor = None
        while True:
            page = jobs.list(ME, None, cursor, 3)
            seen += [job.id for job in page.jobs]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert seen[0] == newest
        assert sorted(seen) == sorted([newest, *submitted])

    def test_list_by_status(self, jobs: JobStore, job: Job) -> None:
        assert jobs.list(ME, JobStatus.QUEUED, None, 10).jobs == (job,)
        assert jobs.list(ME, JobStatus.FAILED, None, 10).jobs == ()

    def test_a_bad_cursor(self, jobs: JobStore) -> None:
        with pytest.raises(OptionInvalid):
            jobs.list(ME, None, "nonsense", 10)

    def test_cancel_a_queued_job(self, engine: sa.Engine, jobs: JobStore, job: Job) -> None:
        (step,) = ready(engine, job)
        cancelled = jobs.cancel(job.id, ME)
        assert cancelled.status is JobStatus.CANCELLED
        assert cancelled.finished_at is not None
        assert state_of(engine, step) == "cancelled"
        assert jobs.cancel(job.id, ME) == cancelled

    def test_an_ended_job_cannot_be_cancelled(
        self, jobs: JobStore, steps: StepStore, job: Job, claim: Claim
    ) -> None:
        steps.fail(claim, ERROR)
        with pytest.raises(JobFinished):
            jobs.cancel(job.id, ME)

    def test_no_result_before_the_end(self, jobs: JobStore, job: Job) -> None:
        with pytest.raises(JobNotFinished):
            jobs.result(job.id, ME)
        jobs.cancel(job.id, ME)
        with pytest.raises(Cancelled):
            jobs.result(job.id, ME)

    def test_counts(self, engine: sa.Engine, jobs: JobStore, job: Job) -> None:
        execute(engine, "UPDATE jobs SET created_at = now() - interval '1 hour'")
        jobs.cancel(jobs.submit(TEXT).id, ME)
        counts = jobs.counts()
        assert counts.by_status[JobStatus.QUEUED] == 1
        assert counts.by_status[JobStatus.CANCELLED] == 1
        assert counts.by_status[JobStatus.FAILED] == 0
        assert counts.oldest_queued_seconds == pytest.approx(3600, abs=60)


class TestWorkers:
    def test_a_claim_starts_the_job(self, jobs: JobStore, job: Job, claim: Claim) -> None:
        assert (claim.stage, claim.part, claim.attempt) == ("segment", 0, 1)
        assert claim.options == TEXT.options
        running = jobs.get(job.id, ME)
        assert (running.status, running.stage) == (JobStatus.RUNNING, "segment")
        assert running.started_at is not None

    def test_of_many_claims_one_succeeds(
        self, engine: sa.Engine, steps: StepStore, job: Job
    ) -> None:
        (step,) = ready(engine, job)
        barrier = threading.Barrier(8)

        def attempt(number: int) -> Claim | None:
            barrier.wait()
            return steps.claim(step, f"worker-{number}")

        with ThreadPoolExecutor(8) as pool:
            claims = list(pool.map(attempt, range(8)))
        assert sum(claim is not None for claim in claims) == 1

    def test_an_unknown_step_is_not_claimed(self, steps: StepStore, job: Job) -> None:
        assert steps.claim(10**9, "worker") is None

    def test_heartbeat_renews_and_reports(
        self, engine: sa.Engine, jobs: JobStore, steps: StepStore, job: Job, claim: Claim
    ) -> None:
        execute(engine, "UPDATE steps SET lease_until = now() - interval '1 hour'")
        assert steps.heartbeat(claim, Progress(0.5, "half", 0.2, 0.4)) is False
        seen = jobs.get(job.id, ME)
        assert (seen.progress, seen.detail) == (pytest.approx(0.4), "half")
        with engine.connect() as connection:
            query = sa.text("SELECT lease_until > now() FROM steps")
            assert connection.execute(query).scalar_one()

    def test_progress_never_decreases(
        self, jobs: JobStore, steps: StepStore, job: Job, claim: Claim
    ) -> None:
        for fraction in (0.8, 0.1, 0.0):
            steps.heartbeat(claim, Progress(fraction, "", 0.0, 1.0))
            assert jobs.get(job.id, ME).progress == pytest.approx(0.8)

    def test_a_heartbeat_that_a_rewind_overtakes_reports_nothing(
        self, engine: sa.Engine, jobs: JobStore, steps: StepStore, job: Job, claim: Claim
    ) -> None:
        steps.finish(claim, Output("key"), NextStage("transcribe", "gpu", 2, 0.2))
        first, second = ready(engine, job)
        slow, other = steps.claim(first, "slow"), steps.claim(second, "other")
        assert slow is not None
        assert other is not None
        # A heartbeat is two statements; this is the second one, come late.
        report = progress_of_job(slow, Progress(0.9, "58 of 60 s", 0.2, 0.6))
        assert steps.rewind(other)
        with engine.begin() as connection:
            connection.execute(report)
        seen = jobs.get(job.id, ME)
        assert (seen.progress, seen.detail) == (pytest.approx(0.2), "")

    def test_heartbeat_tells_of_a_cancel(
        self, engine: sa.Engine, jobs: JobStore, steps: StepStore, job: Job, claim: Claim
    ) -> None:
        jobs.cancel(job.id, ME)
        assert state_of(engine, claim.step_id) == "running"
        assert steps.heartbeat(claim, Progress(0.5, "", 0.0, 1.0)) is True
        steps.stop(claim)
        assert state_of(engine, claim.step_id) == "cancelled"

    def test_a_cancelled_job_is_not_finished(
        self, jobs: JobStore, steps: StepStore, job: Job, claim: Claim
    ) -> None:
        jobs.cancel(job.id, ME)
        with pytest.raises(Cancelled):
            steps.finish(claim, Output("key"), None, {})
        with pytest.raises(Cancelled):
            steps.retry(claim, ERROR, 0)
        assert jobs.get(job.id, ME).status is JobStatus.CANCELLED

    def test_finish_makes_the_next_stage_ready(
        self, engine: sa.Engine, jobs: JobStore, steps: StepStore, job: Job, claim: Claim
    ) -> None:
        steps.finish(claim, Output("key-1"), NextStage("classify", "gpu", 1, 0.2))
        assert steps.outputs(job.id) == {"segment": ["key-1"]}
        assert jobs.get(job.id, ME).progress == pytest.approx(0.2)
        assert claim_next(engine, steps, job).stage == "classify"

    def test_the_last_finish_completes_the_job(
        self, jobs: JobStore, steps: StepStore, job: Job, claim: Claim
    ) -> None:
        steps.finish(claim, Output("key"), None, {"b": 1, "a": "\x00 \ud800"})
        done = jobs.get(job.id, ME)
        assert (done.status, done.progress) == (JobStatus.COMPLETED, 1.0)
        assert list(jobs.result(job.id, ME).items()) == [("b", 1), ("a", "\x00 \ud800")]

    def test_finishing_again_after_a_lost_reply_changes_nothing(
        self, engine: sa.Engine, steps: StepStore, job: Job, claim: Claim
    ) -> None:
        following = NextStage("classify", "gpu", 2, 0.2)
        steps.finish(claim, Output("key"), following)
        steps.finish(claim, Output("key"), following)
        assert len(ready(engine, job)) == 2

    def test_the_last_part_advances_the_job_whatever_the_order(
        self, engine: sa.Engine, jobs: JobStore, steps: StepStore, job: Job, claim: Claim
    ) -> None:
        steps.finish(claim, Output("key"), NextStage("transcribe", "gpu", 8, 0.1))
        claims = [steps.claim(step, "worker") for step in ready(engine, job)]
        following = NextStage("segment-2", "cpu", 1, 0.9)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda c: steps.finish(c, Output(f"key-{c.part}"), following), claims))
        assert steps.outputs(job.id)["transcribe"] == [f"key-{part}" for part in range(8)]
        assert claim_next(engine, steps, job).stage == "segment-2"

    def test_progress_over_parts(
        self, engine: sa.Engine, jobs: JobStore, steps: StepStore, job: Job, claim: Claim
    ) -> None:
        steps.finish(claim, Output("key"), NextStage("transcribe", "gpu", 2, 0.2))
        first, second = ready(engine, job)
        one = steps.claim(first, "worker")
        assert one is not None
        steps.finish(one, Output("key"), NextStage("after", "cpu", 1, 0.8))
        two = steps.claim(second, "worker")
        assert two is not None
        steps.heartbeat(two, Progress(0.5, "", 0.2, 0.6))
        assert jobs.get(job.id, ME).progress == pytest.approx(0.2 + 0.6 * 0.75)

    def test_fail_ends_the_job_and_its_other_parts(
        self, engine: sa.Engine, jobs: JobStore, steps: StepStore, job: Job, claim: Claim
    ) -> None:
        steps.finish(claim, Output("key"), NextStage("transcribe", "gpu", 3, 0.2))
        one, two, three = ready(engine, job)
        failing, running = steps.claim(one, "a"), steps.claim(two, "b")
        assert failing is not None
        assert running is not None
        steps.fail(failing, ERROR)
        failed = jobs.get(job.id, ME)
        assert (failed.status, failed.error) == (JobStatus.FAILED, ERROR)
        assert state_of(engine, three) == "cancelled"
        assert steps.heartbeat(running, Progress(0.1, "", 0, 1)) is True
        with pytest.raises(JobFailed, match="The text is empty"):
            jobs.result(job.id, ME)

    def test_a_retry_waits(
        self, engine: sa.Engine, steps: StepStore, dispatch: DispatchStore, job: Job, claim: Claim
    ) -> None:
        steps.retry(claim, ERROR, 3600)
        assert state_of(engine, claim.step_id) == "waiting"
        assert steps.claim(claim.step_id, "worker") is None
        assert dispatch.promote_waiting() == 0
        execute(engine, "UPDATE steps SET available_at = now()")
        assert dispatch.promote_waiting() == 1
        again = claim_next(engine, steps, job)
        assert (again.attempt, again.failures, again.store_failures) == (2, 1, 0)

    def test_retries_for_an_absent_store_are_counted_apart(
        self, engine: sa.Engine, steps: StepStore, dispatch: DispatchStore, job: Job, claim: Claim
    ) -> None:
        steps.retry(claim, JobError.of(StoreUnavailable()), 0)
        dispatch.promote_waiting()
        again = claim_next(engine, steps, job)
        assert (again.failures, again.store_failures) == (1, 1)

    def test_released_steps_run_elsewhere_and_count_no_loss(
        self, engine: sa.Engine, steps: StepStore, job: Job, claim: Claim
    ) -> None:
        assert steps.release("another worker") == 0
        assert steps.release("worker-1") == 1
        assert claim_next(engine, steps, job).attempt == 2
        with engine.connect() as connection:
            assert connection.execute(sa.text("SELECT losses FROM steps")).scalar_one() == 0

    def test_a_step_released_after_its_job_ended_is_cleared_away(
        self, engine: sa.Engine, jobs: JobStore, steps: StepStore, job: Job, claim: Claim
    ) -> None:
        jobs.cancel(job.id, ME)
        steps.release("worker-1")
        assert steps.claim(claim.step_id, "worker-2") is None
        assert state_of(engine, claim.step_id) == "cancelled"


class TestFence:
    @pytest.fixture
    def stale(self, engine: sa.Engine, steps: StepStore, job: Job, claim: Claim) -> Claim:
        """The claim of a worker whose step another worker has meanwhile."""
        steps.release("worker-1")
        assert steps.claim(claim.step_id, "worker-2") is not None
        return claim

    def test_no_write_gets_through(self, engine: sa.Engine, steps: StepStore, stale: Claim) -> None:
        before = self.rows(engine)
        for write in (
            lambda: steps.heartbeat(stale, Progress(0.9, "stale", 0, 1)),
            lambda: steps.finish(stale, Output("stale"), None, {"stale": True}),
            lambda: steps.fail(stale, ERROR),
            lambda: steps.retry(stale, ERROR, 0),
            lambda: steps.stop(stale),
        ):
            with pytest.raises(LeaseLost):
                write()
        assert self.rows(engine) == before

    def test_nor_after_the_other_has_finished(
        self, engine: sa.Engine, steps: StepStore, stale: Claim
    ) -> None:
        execute(engine, "UPDATE steps SET state = 'done', output_key = 'theirs'")
        with pytest.raises(LeaseLost):
            steps.finish(stale, Output("theirs"), None, {})

    def rows(self, engine: sa.Engine) -> object:
        with engine.connect() as connection:
            return [
                connection.execute(sa.text(f"SELECT * FROM {table}")).all()
                for table in ("jobs", "steps", "results")
            ]


class TestDispatch:
    def sent(self, dispatch: DispatchStore, *empty: str) -> list[int]:
        sent: list[Step] = []
        dispatch.publish(sent.append, empty)  # type: ignore[arg-type]
        return [step.id for step in sent]

    def test_a_step_is_sent_once(
        self, engine: sa.Engine, dispatch: DispatchStore, job: Job
    ) -> None:
        assert self.sent(dispatch, "cpu", "gpu") == ready(engine, job)
        assert self.sent(dispatch, "cpu", "gpu") == []

    def test_a_failed_send_counts_as_not_sent(
        self, engine: sa.Engine, dispatch: DispatchStore, job: Job
    ) -> None:
        def send(step: Step) -> None:
            raise ConnectionError

        with pytest.raises(ConnectionError):
            dispatch.publish(send, [])
        assert self.sent(dispatch) == ready(engine, job)

    def test_two_dispatchers_send_different_steps(
        self, engine: sa.Engine, dispatch: DispatchStore, jobs: JobStore
    ) -> None:
        jobs.submit(TEXT)
        within: list[int] = []
        dispatch.publish(lambda step: within.extend(self.sent(dispatch)), [])
        assert within == []

    def test_a_forgetful_broker_is_sent_everything_again(
        self, dispatch: DispatchStore, job: Job
    ) -> None:
        first = self.sent(dispatch)
        assert dispatch.forget_published() == 1
        assert self.sent(dispatch) == first

    def test_an_old_message_is_sent_again_if_its_queue_is_empty(
        self, engine: sa.Engine, dispatch: DispatchStore, job: Job
    ) -> None:
        first = self.sent(dispatch)
        execute(engine, "UPDATE steps SET published_at = now() - interval '2 minutes'")
        assert self.sent(dispatch) == []
        assert self.sent(dispatch, "gpu") == []
        assert self.sent(dispatch, "cpu") == first
        assert self.sent(dispatch, "cpu") == []

    def test_an_old_message_is_sent_again_if_the_queue_has_moved_past_it(
        self, engine: sa.Engine, jobs: JobStore, steps: StepStore, dispatch: DispatchStore, job: Job
    ) -> None:
        (lost,) = self.sent(dispatch)
        execute(engine, "UPDATE steps SET published_at = now() - interval '1 hour'")
        jobs.submit(TEXT)
        (later,) = self.sent(dispatch)
        assert self.sent(dispatch) == []
        steps.claim(later, "worker")
        assert self.sent(dispatch) == [lost]

    def test_a_live_lease_is_respected(
        self, engine: sa.Engine, dispatch: DispatchStore, claim: Claim
    ) -> None:
        assert dispatch.revive_expired() == 0
        assert state_of(engine, claim.step_id) == "running"

    def test_an_expired_lease_makes_the_step_ready(
        self, engine: sa.Engine, dispatch: DispatchStore, steps: StepStore, job: Job, claim: Claim
    ) -> None:
        execute(engine, "UPDATE steps SET lease_until = now() - interval '1 second'")
        assert dispatch.revive_expired() == 1
        assert self.sent(dispatch) == ready(engine, job)
        assert claim_next(engine, steps, job).attempt == 2

    def test_the_third_loss_quarantines(
        self, engine: sa.Engine, jobs: JobStore, dispatch: DispatchStore, steps: StepStore, job: Job
    ) -> None:
        for attempt in (1, 2, 3):
            assert claim_next(engine, steps, job).attempt == attempt
            execute(engine, "UPDATE steps SET lease_until = now() - interval '1 second'")
            assert dispatch.revive_expired() == 1
        failed = jobs.get(job.id, ME)
        assert failed.status is JobStatus.FAILED
        assert failed.error is not None
        assert failed.error.code == "worker.lost"
        assert ready(engine, job) == []

    def test_an_expired_step_of_a_cancelled_job_is_cancelled(
        self, engine: sa.Engine, jobs: JobStore, dispatch: DispatchStore, job: Job, claim: Claim
    ) -> None:
        jobs.cancel(job.id, ME)
        execute(engine, "UPDATE steps SET lease_until = now() - interval '1 second'")
        assert dispatch.revive_expired() == 1
        assert state_of(engine, claim.step_id) == "cancelled"

    def test_a_step_is_lost_only_with_the_worker_that_holds_it(
        self, engine: sa.Engine, dispatch: DispatchStore, claim: Claim
    ) -> None:
        assert dispatch.lose(claim.step_id, "another worker") is False
        assert dispatch.lose(10**9, "worker-1") is False
        assert dispatch.lose(claim.step_id, "worker-1") is True
        assert state_of(engine, claim.step_id) == "ready"
