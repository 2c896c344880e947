"""Batches on a real database."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from app.db import create_db_engine
from app.errors import BatchNotFound, JobQuotaExceeded, KeyReused, QueueFull
from app.jobs import (
    Callback,
    Claim,
    JobError,
    JobStatus,
    NewBatch,
    NewJob,
    Output,
    Progress,
    Quotas,
    Repeatable,
)
from app.stores.batches import BatchStore
from app.stores.jobs import JobStore
from app.stores.steps import StepStore
from ml.errors import Cancelled, OptionInvalid

ME, OTHER = "me", "somebody else"
ERROR = JobError("text.empty", "The text is empty.", "Send a word.")


@pytest.fixture
def engine(database: str) -> Iterator[sa.Engine]:
    engine = create_db_engine(database)
    yield engine
    engine.dispose()


@pytest.fixture
def batches(engine: sa.Engine) -> BatchStore:
    return BatchStore(engine)


@pytest.fixture
def jobs(engine: sa.Engine) -> JobStore:
    return JobStore(engine)


@pytest.fixture
def steps(engine: sa.Engine) -> StepStore:
    return StepStore(engine)


def of_texts(count: int, owner: str = ME, **job: object) -> NewBatch:
    texts = [NewJob("text", f"Text {n}.", owner=owner, title=str(n), **job) for n in range(count)]
    return NewBatch(tuple(texts), owner, "A title")


def rows(engine: sa.Engine, query: str, **parameters: object) -> list[sa.Row[tuple[object, ...]]]:
    with engine.connect() as connection:
        return list(connection.execute(sa.text(query), parameters).all())


def jobs_of(engine: sa.Engine, batch_id: uuid.UUID) -> list[uuid.UUID]:
    query = "SELECT id FROM jobs WHERE batch_id = :batch ORDER BY batch_index"
    return [row.id for row in rows(engine, query, batch=batch_id)]


def claim(engine: sa.Engine, steps: StepStore, job_id: uuid.UUID) -> Claim:
    query = "SELECT id FROM steps WHERE job_id = :job AND state = 'ready'"
    ((step_id,),) = rows(engine, query, job=job_id)
    claimed = steps.claim(step_id, "worker")
    assert claimed is not None
    return claimed


def execute(engine: sa.Engine, statement: str, **parameters: object) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text(statement), parameters)


def end_each_way(engine: sa.Engine, steps: StepStore, ids: list[uuid.UUID]) -> None:
    """Complete the first job, fail the second, and bring the third half way."""
    steps.finish(claim(engine, steps, ids[0]), Output("key"), None, {"language": "en"})
    steps.fail(claim(engine, steps, ids[1]), ERROR)
    steps.heartbeat(claim(engine, steps, ids[2]), Progress(0.5, "", 0.0, 1.0))


def test_a_thousand_texts_are_one_batch_in_their_order(
    engine: sa.Engine, batches: BatchStore, jobs: JobStore
) -> None:
    batch = batches.submit(of_texts(1000))
    assert batch == batches.get(batch.id, ME)
    assert (batch.title, batch.total, batch.progress) == ("A title", 1000, 0.0)
    assert batch.counts == dict.fromkeys(JobStatus, 0) | {JobStatus.QUEUED: 1000}
    assert not batch.finished
    page = jobs.list(ME, None, None, 1000, batch.id)
    assert [job.batch_index for job in page.jobs] == list(range(1000))
    assert [job.title for job in page.jobs] == [str(n) for n in range(1000)]
    assert rows(engine, "SELECT count(*) FROM steps WHERE state = 'ready'") == [(1000,)]


def test_the_counts_and_the_progress_follow_the_jobs(
    engine: sa.Engine, batches: BatchStore, steps: StepStore
) -> None:
    batch_id = batches.submit(of_texts(4)).id
    end_each_way(engine, steps, jobs_of(engine, batch_id))
    batch = batches.get(batch_id, ME)
    assert batch.counts == {
        JobStatus.QUEUED: 1,
        JobStatus.RUNNING: 1,
        JobStatus.COMPLETED: 1,
        JobStatus.FAILED: 1,
        JobStatus.CANCELLED: 0,
    }
    assert batch.progress == pytest.approx((1 + 1 + 0.5 + 0) / 4)
    assert not batch.finished


def test_cancelling_ends_what_is_open_and_nothing_else(
    engine: sa.Engine, batches: BatchStore, steps: StepStore
) -> None:
    kept = batches.submit(of_texts(2))
    batch_id = batches.submit(of_texts(4, callback=Callback("https://example.org/hook"))).id
    ids = jobs_of(engine, batch_id)
    end_each_way(engine, steps, ids)
    for _ in range(2):
        batch = batches.cancel(batch_id, ME)
        assert batch.finished
        assert batch.progress == 1.0
        assert batch.counts[JobStatus.CANCELLED] == 2
        assert batch.counts[JobStatus.COMPLETED] == batch.counts[JobStatus.FAILED] == 1
    states = dict(rows(engine, "SELECT job_id, state FROM steps"))
    assert states[ids[2]] == "running"  # until its worker has stopped
    assert states[ids[3]] == "cancelled"
    reported = rows(engine, "SELECT event, count(*) FROM deliveries GROUP BY 1 ORDER BY 1")
    assert reported == [("job.cancelled", 2), ("job.completed", 1), ("job.failed", 1)]
    assert batches.get(kept.id, ME) == kept


def test_cancelling_and_working_at_the_same_time_end_every_job_once(
    engine: sa.Engine, batches: BatchStore, steps: StepStore
) -> None:
    batch_id = batches.submit(of_texts(40)).id
    claims = [claim(engine, steps, job_id) for job_id in jobs_of(engine, batch_id)]

    def finish(claimed: Claim) -> None:
        try:
            steps.finish(claimed, Output("key"), None, {})
        except Cancelled:
            steps.stop(claimed)

    with ThreadPoolExecutor(8) as pool:
        finishing = [pool.submit(finish, claimed) for claimed in claims]
        cancelling = [pool.submit(batches.cancel, batch_id, ME) for _ in range(4)]
        for future in (*finishing, *cancelling):
            future.result(60)
    batch = batches.get(batch_id, ME)
    assert batch.finished
    completed, cancelled = batch.counts[JobStatus.COMPLETED], batch.counts[JobStatus.CANCELLED]
    assert completed + cancelled == 40
    assert rows(engine, "SELECT count(*) FROM results") == [(completed,)]


def test_the_results_come_in_order_whatever_their_number(
    engine: sa.Engine, batches: BatchStore, steps: StepStore
) -> None:
    batch_id = batches.submit(of_texts(25)).id
    ids = jobs_of(engine, batch_id)
    end_each_way(engine, steps, ids)
    found = list(batches.results(batch_id, ME))
    assert [item.index for item in found] == list(range(25))
    assert [item.job for item in found] == ids
    assert [item.title for item in found] == [str(n) for n in range(25)]
    assert (found[0].status, found[0].result) == (JobStatus.COMPLETED, {"language": "en"})
    assert (found[1].status, found[1].error) == (JobStatus.FAILED, ERROR)
    assert [(item.result, item.error) for item in found[2:]] == [(None, None)] * 23


def test_an_expired_result_says_so(
    engine: sa.Engine, batches: BatchStore, steps: StepStore
) -> None:
    batch_id = batches.submit(of_texts(3)).id
    end_each_way(engine, steps, jobs_of(engine, batch_id))
    execute(engine, "DELETE FROM results")
    execute(engine, "UPDATE jobs SET expired = true WHERE status = 'completed'")
    error = next(batches.results(batch_id, ME)).error
    assert error is not None
    assert error.code == "job.expired"


def test_erased_jobs_are_in_no_count_and_in_no_results(
    engine: sa.Engine, batches: BatchStore
) -> None:
    batch_id = batches.submit(of_texts(3)).id
    ids = jobs_of(engine, batch_id)
    execute(engine, "UPDATE jobs SET erasing = true WHERE id = :id", id=ids[0])
    execute(engine, "DELETE FROM jobs WHERE id = :id", id=ids[1])
    batch = batches.get(batch_id, ME)
    assert (batch.total, sum(batch.counts.values())) == (3, 1)
    assert [item.job for item in batches.results(batch_id, ME)] == [ids[2]]
    execute(engine, "DELETE FROM jobs")
    batch = batches.get(batch_id, ME)
    assert (batch.finished, batch.progress) == (True, 1.0)


def test_a_batch_of_somebody_else_does_not_exist(
    engine: sa.Engine, batches: BatchStore, jobs: JobStore
) -> None:
    theirs = batches.submit(of_texts(2, OTHER))
    for call in (batches.get, batches.cancel, batches.results):
        for batch_id in (theirs.id, uuid.uuid4()):
            with pytest.raises(BatchNotFound):
                call(batch_id, ME)
    assert batches.list(ME, None, 10).batches == ()
    assert jobs.list(ME, None, None, 10, theirs.id).jobs == ()
    assert batches.get(theirs.id, OTHER) == theirs


def test_pages_cover_the_list_once_newest_first(engine: sa.Engine, batches: BatchStore) -> None:
    made = [batches.submit(of_texts(1)).id for _ in range(5)]
    execute(engine, "UPDATE batches SET created_at = '2026-01-01'")  # ties are broken by id
    newest = batches.submit(of_texts(2)).id
    batches.submit(of_texts(1, OTHER))
    seen: list[uuid.UUID] = []
    cursor = None
    while True:
        page = batches.list(ME, cursor, 2)
        seen += [batch.id for batch in page.batches]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == [newest, *sorted(made, reverse=True)]
    with pytest.raises(OptionInvalid):
        batches.list(ME, "made up", 2)


@pytest.mark.parametrize(
    ("quotas", "refusal"),
    [(Quotas(max_queued=9), QueueFull), (Quotas(jobs_at_once=9), JobQuotaExceeded)],
)
def test_a_batch_that_does_not_fit_leaves_nothing(
    engine: sa.Engine, quotas: Quotas, refusal: type[Exception]
) -> None:
    batches = BatchStore(engine, quotas)
    batches.submit(of_texts(5))
    with pytest.raises(refusal):
        batches.submit(of_texts(5), Repeatable("key", "digest"))
    assert rows(engine, "SELECT (SELECT count(*) FROM batches), count(*) FROM jobs") == [(1, 5)]
    batches.submit(of_texts(4), Repeatable("key", "digest"))


def test_a_repeated_request_gives_the_same_batch(engine: sa.Engine, batches: BatchStore) -> None:
    key = uuid.uuid4().hex
    with ThreadPoolExecutor(4) as pool:
        made = list(
            pool.map(lambda _: batches.submit(of_texts(3), Repeatable(key, "digest")), range(4))
        )
    assert len({batch.id for batch in made}) == 1
    assert rows(engine, "SELECT count(*) FROM jobs") == [(3,)]
    with pytest.raises(KeyReused):
        batches.submit(of_texts(3), Repeatable(key, "another"))
