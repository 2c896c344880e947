from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from threading import Event, Thread

import pytest
import sqlalchemy as sa

from app.errors import JobNotFound, LeaseLost
from app.jobs import Callback, Claim, JobError, NewJob, NextStage, Output, Progress, Repeatable
from app.stores.deletions import condemn
from app.stores.erasure import ErasureStore
from app.stores.jobs import JobStore
from app.stores.steps import StepStore
from ml.errors import Cancelled

ME = "me"
MARKER = "heliotrope"
UPLOAD = NewJob(
    "upload",
    "uploads/1",
    {"summary": {"timeline_bins": 3}},
    owner=ME,
    title=f"{MARKER}.wav",
    callback=Callback(f"https://example.org/{MARKER}"),
)
ONCE = Repeatable("key", "digest")
NEXT = NextStage("transcribe", "gpu", 1, 0.1)
PROGRESS = Progress(0.5, MARKER, 0.0, 1.0)


@pytest.fixture
def jobs(engine: sa.Engine) -> JobStore:
    return JobStore(engine)


@pytest.fixture
def steps(engine: sa.Engine) -> StepStore:
    return StepStore(engine)


@pytest.fixture
def erasures(engine: sa.Engine) -> ErasureStore:
    return ErasureStore(engine)


@pytest.fixture
def claim(engine: sa.Engine, steps: StepStore) -> Callable[[uuid.UUID], Claim]:
    """Take the job's next step."""

    def claim(job_id: uuid.UUID) -> Claim:
        query = sa.text("SELECT id FROM steps WHERE job_id = :job AND state = 'ready'")
        with engine.connect() as connection:
            found = steps.claim(connection.execute(query, {"job": job_id}).scalar_one(), "worker")
        assert found is not None
        return found

    return claim


def dump(engine: sa.Engine) -> str:
    """Return every row of every table."""
    with engine.connect() as connection:
        tables = [t for t in sa.inspect(connection).get_table_names() if t != "history"]
        rows = [
            str(connection.execute(sa.text(f"SELECT to_json(t) FROM {table} t")).scalars().all())
            for table in tables
        ]
    return "\n".join(rows)


def purged(erasures: ErasureStore) -> list[str]:
    """Return the keys that a janitor removes now."""
    removed: list[str] = []
    while erasures.purge(lambda owner, key: removed.append(key)):
        pass
    return sorted(removed)


def complete(steps: StepStore, claim: Callable[[uuid.UUID], Claim], job_id: uuid.UUID) -> None:
    first = claim(job_id)
    steps.note(first, ["audio/1.wav", "audio/1.wav.0.tmp"])
    steps.finish(first, Output("stages/fetch/1.json", ("audio/1.wav",)), NEXT)
    steps.finish(claim(job_id), Output(f"stages/aggregate/{job_id}"), None, {"said": MARKER})


ALL = ["audio/1.wav", "audio/1.wav.0.tmp", "stages/fetch/1.json", "uploads/1"]


def test_of_an_ended_job_nothing_is_left(engine, jobs, steps, claim, erasures) -> None:
    job = jobs.submit(UPLOAD, ONCE)
    complete(steps, claim, job.id)
    assert MARKER in dump(engine)
    assert str(job.id) in dump(engine)
    assert erasures.erase(job.id, ME) is True
    assert purged(erasures) == sorted([*ALL, f"stages/aggregate/{job.id}"])
    assert str(job.id) not in dump(engine)
    assert MARKER not in dump(engine)


def test_a_failed_job_keeps_no_error(engine, jobs, steps, claim, erasures) -> None:
    job = jobs.submit(UPLOAD, ONCE)
    running = claim(job.id)
    steps.finish(running, Output("stages/fetch/1.json"), NextStage("transcribe", "gpu", 2, 0.1))
    query = sa.text("SELECT id FROM steps WHERE state = 'ready' ORDER BY id")
    with engine.connect() as connection:
        one, two = (steps.claim(step, "worker") for step in connection.execute(query).scalars())
    steps.fail(one, JobError("media.invalid", MARKER, MARKER))
    assert erasures.erase(job.id, ME) is False  # the other part still runs
    assert MARKER not in dump(engine)
    steps.stop(two)
    assert erasures.finish() == 1
    assert str(job.id) not in dump(engine)


def test_an_erased_job_does_not_exist(jobs, erasures) -> None:
    job = jobs.submit(UPLOAD)
    for owner in ("somebody else", ME):
        if owner == ME:
            erasures.erase(job.id, ME)
        with pytest.raises(JobNotFound):
            erasures.erase(job.id, owner)
    with pytest.raises(JobNotFound):
        jobs.get(job.id, ME)


def test_its_key_makes_a_new_job(jobs, erasures) -> None:
    job = jobs.submit(UPLOAD, ONCE)
    assert jobs.submit(UPLOAD, ONCE) == job
    erasures.erase(job.id, ME)
    assert jobs.submit(UPLOAD, ONCE).id != job.id


def test_a_running_job_is_empty_at_once_and_goes_when_its_worker_stops(
    engine, jobs, steps, claim, erasures
) -> None:
    job = jobs.submit(UPLOAD, ONCE)
    running = claim(job.id)
    assert steps.heartbeat(running, PROGRESS) is False
    assert erasures.erase(job.id, ME) is False
    assert MARKER not in dump(engine)
    with pytest.raises(JobNotFound):
        jobs.get(job.id, ME)
    assert jobs.list(ME, None, None, 10).jobs == ()

    assert steps.heartbeat(running, PROGRESS) is True
    steps.note(running, ["audio/1.wav"])
    with pytest.raises(Cancelled):
        steps.finish(running, Output("stages/fetch/1.json"), NEXT)
    assert erasures.finish() == 0
    assert purged(erasures) == []
    steps.stop(running)
    assert erasures.finish() == 1
    assert purged(erasures) == ["audio/1.wav", "uploads/1"]
    assert str(job.id) not in dump(engine)


def test_what_a_dead_worker_wrote_goes_too(engine, jobs, steps, claim, erasures) -> None:
    job = jobs.submit(UPLOAD)
    steps.note(claim(job.id), ["audio/1.wav", "audio/1.wav.0.tmp"])
    steps.release("worker")
    assert erasures.erase(job.id, ME) is True
    assert purged(erasures) == ["audio/1.wav", "audio/1.wav.0.tmp", "uploads/1"]


def test_what_another_attempt_wrote_is_not_forgotten(jobs, steps, claim, erasures) -> None:
    """A link may lead to something else tomorrow."""
    job = jobs.submit(NewJob("url", "https://example.org/", owner=ME))
    steps.note(claim(job.id), ["audio/monday.wav"])
    steps.release("worker")
    steps.finish(claim(job.id), Output("stages/fetch/1.json", ("audio/tuesday.wav",)), NEXT)
    erasures.erase(job.id, ME)
    assert purged(erasures) == ["audio/monday.wav", "audio/tuesday.wav", "stages/fetch/1.json"]


def test_a_worker_that_lost_its_step_notes_nothing_more(jobs, steps, claim, erasures) -> None:
    job = jobs.submit(UPLOAD)
    lost = claim(job.id)
    steps.release("worker")
    erasures.erase(job.id, ME)
    with pytest.raises(LeaseLost):
        steps.note(lost, ["audio/late.wav"])
    purged(erasures)
    steps.discard(lost, ["audio/written-before.wav"])
    assert purged(erasures) == ["audio/written-before.wav"]


def test_what_another_job_of_the_owner_needs_stays(jobs, steps, claim, erasures) -> None:
    one, two = jobs.submit(UPLOAD), jobs.submit(UPLOAD)
    complete(steps, claim, one.id)
    complete(steps, claim, two.id)
    erasures.erase(one.id, ME)
    assert purged(erasures) == [f"stages/aggregate/{one.id}"]
    erasures.erase(two.id, ME)
    assert purged(erasures) == sorted([*ALL, f"stages/aggregate/{two.id}"])


def test_what_only_a_job_that_is_being_erased_needs_goes(jobs, steps, claim, erasures) -> None:
    ended, running = jobs.submit(UPLOAD), jobs.submit(UPLOAD)
    claim(running.id)
    assert (erasures.erase(running.id, ME), erasures.erase(ended.id, ME)) == (False, True)
    assert purged(erasures) == ["uploads/1"]


def test_what_another_owner_has_under_the_same_key_counts_for_him_alone(
    jobs, steps, claim, erasures
) -> None:
    mine = jobs.submit(UPLOAD)
    theirs = jobs.submit(NewJob("upload", "uploads/1", owner="they"))
    removed: list[tuple[str, str]] = []
    erasures.erase(mine.id, ME)
    erasures.purge(lambda *artifact: removed.append(artifact))
    assert removed == [(ME, "uploads/1")]
    assert jobs.get(theirs.id, "they") == theirs


def test_a_store_that_is_away_is_tried_again(jobs, steps, claim, erasures) -> None:
    job = jobs.submit(UPLOAD)
    complete(steps, claim, job.id)
    erasures.erase(job.id, ME)
    tried: list[str] = []

    def away(owner: str, key: str) -> None:
        tried.append(key)
        raise TimeoutError

    assert erasures.purge(away) == 0
    assert erasures.clear(ME, away) is False
    assert len(set(tried)) == len(tried) == 2
    assert len(purged(erasures)) == 5


def test_one_that_cannot_be_removed_does_not_hold_up_the_others(
    jobs, steps, claim, erasures
) -> None:
    job = jobs.submit(UPLOAD)
    complete(steps, claim, job.id)
    erasures.erase(job.id, ME)
    removed: list[str] = []

    def remove(owner: str, key: str) -> None:
        if key == "audio/1.wav":
            raise PermissionError
        removed.append(key)

    assert erasures.purge(remove) == 0
    assert erasures.purge(remove) == len(removed) == 4
    assert erasures.clear(ME, remove) is False


def test_two_janitors_do_not_do_the_same(jobs, erasures) -> None:
    for _ in range(2):
        erasures.erase(jobs.submit(UPLOAD).id, ME)
    inside: list[str] = []
    erasures.purge(lambda owner, key: inside.extend(purged(erasures)))
    assert inside == []


def test_what_is_condemned_while_a_janitor_finds_it_needed_is_not_forgotten(
    engine, jobs, erasures
) -> None:
    """The janitor has seen that the last job needs it, and that one is erased just then."""
    other = jobs.submit(replace(UPLOAD, source="uploads/0"))
    first, last = jobs.submit(UPLOAD), jobs.submit(UPLOAD)
    for job in (other, first):
        erasures.erase(job.id, ME)
    owner = Thread(target=erasures.erase, args=(last.id, ME))
    blocked = sa.text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")

    def remove(_: str, key: str) -> None:
        assert key == "uploads/0"
        owner.start()
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            while owner.is_alive() and not connection.execute(blocked).scalar_one():
                pass

    erasures.purge(remove)
    owner.join()
    assert purged(erasures) == ["uploads/1"]


def test_who_clears_and_who_condemns_do_not_wait_in_a_circle(engine, erasures) -> None:
    for key in ("b", "a"):
        with engine.begin() as connection:
            condemn(connection, [(ME, key)])
    blocked = sa.text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    cleared: list[bool] = []
    owner = Thread(target=lambda: cleared.append(erasures.clear(ME, lambda *_: None)))
    with engine.begin() as connection:
        condemn(connection, [(ME, "a")])
        owner.start()
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as watcher:
            while not watcher.execute(blocked).scalar_one():
                pass
        condemn(connection, [(ME, "b")])
    owner.join()
    assert cleared == [True]


def test_who_clears_waits_for_the_janitor(jobs, erasures) -> None:
    erasures.erase(jobs.submit(UPLOAD).id, ME)
    begun, go_on = Event(), Event()

    def remove(owner: str, key: str) -> None:
        begun.set()
        go_on.wait(10)

    janitor = Thread(target=erasures.purge, args=(remove,))
    janitor.start()
    begun.wait(10)
    cleared: list[bool] = []
    owner = Thread(
        target=lambda: cleared.append(erasures.clear(ME, lambda *_: pytest.fail("removed twice")))
    )
    owner.start()
    assert cleared == []
    go_on.set()
    janitor.join()
    owner.join()
    assert cleared == [True]
