"""Reports in a real database: who may send them, and what is noted."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from app.db import create_db_engine
from app.errors import NoFailedDelivery
from app.jobs import Callback, DeliveryState, JobStatus, NewJob
from app.models import DeliveryRow, JobRow, ResultRow
from app.stores.deliveries import KEPT_ATTEMPTS, DeliveryStore
from app.stores.jobs import JobStore

URL = "https://receiver.example/hook?key=1"
FAILED, PENDING, DELIVERED = DeliveryState.FAILED, DeliveryState.PENDING, DeliveryState.DELIVERED


@pytest.fixture
def engine(database):
    engine = create_db_engine(database)
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine):
    return DeliveryStore(engine)


@pytest.fixture
def ended(engine):
    """Make a job that has ended and whose end is to be reported; return its id."""

    def make(url: str = URL, *, with_result: bool = False, owner: str = "local") -> uuid.UUID:
        jobs = JobStore(engine)
        job = jobs.submit(NewJob("text", "Hm.", owner=owner, callback=Callback(url, with_result)))
        return jobs.cancel(job.id, owner).id

    return make


def change(engine, job_id, table=DeliveryRow, **values):
    key = JobRow.id if table is JobRow else DeliveryRow.job_id
    with engine.begin() as connection:
        connection.execute(sa.update(table).where(key == job_id).values(**values))


def later(engine, job_id):
    """Let the time pass until a report is due."""
    change(engine, job_id, due_at=sa.func.now())


def test_only_jobs_with_a_callback_are_reported(engine, store, ended):
    jobs = JobStore(engine)
    jobs.cancel(jobs.submit(NewJob("text", "Hm.")).id, "local")
    assert store.claim(60) is None
    job_id = ended()
    claimed = store.claim(60)
    assert (claimed.job_id, claimed.event, claimed.url) == (job_id, "job.cancelled", URL)
    assert (claimed.status, claimed.owner, claimed.attempts) == (JobStatus.CANCELLED, "local", ())
    assert 0 <= claimed.age_seconds < 60


def test_a_claimed_report_is_nobody_elses_until_the_lease_ends(engine, store, ended):
    job_id = ended()
    first = store.claim(60)
    assert store.claim(60) is None
    later(engine, job_id)
    assert store.claim(60).id == first.id


def test_senders_at_once_never_take_the_same(store, ended):
    for _ in range(20):
        ended()
    with ThreadPoolExecutor(8) as pool:
        claimed = [one.id for one in pool.map(lambda _: store.claim(60), range(40)) if one]
    assert len(claimed) == len(set(claimed)) == 20


def test_who_lost_the_lease_changes_nothing(engine, store, ended):
    job_id = ended()
    late = store.claim(60)
    later(engine, job_id)
    present = store.claim(60)
    assert not store.note(late, {"status": 500}, FAILED)
    assert store.note(present, {"status": 200}, DELIVERED)
    assert not store.note(late, {"status": 500}, PENDING)
    delivery = store.of_jobs([job_id])[job_id]
    assert (delivery.state, delivery.attempts) == (DELIVERED, ({"status": 200},))
    later(engine, job_id)
    assert store.claim(60) is None


def test_a_failed_attempt_is_repeated_when_its_time_has_come(engine, store, ended):
    job_id = ended()
    assert store.note(store.claim(60), {"status": 500}, PENDING, retry_seconds=100)
    assert store.claim(60) is None
    later(engine, job_id)
    assert store.claim(60).attempts == ({"status": 500},)


def test_the_last_attempts_are_kept(engine, store, ended):
    job_id = ended()
    for number in range(KEPT_ATTEMPTS + 3):
        store.note(store.claim(60), {"status": number}, PENDING)
        later(engine, job_id)
    statuses = [attempt["status"] for attempt in store.of_jobs([job_id])[job_id].attempts]
    assert statuses == list(range(3, KEPT_ATTEMPTS + 3))


def test_busy_hosts_are_left_alone(store, ended):
    slow = [
        "http://slow.example/a",
        "HTTP://Slow.Example?b",
        "http://slow.example#c",
        "http://slow.example",
    ]
    for url in slow:
        ended(url)
    quick = ended("https://quick.example:443/")
    claimed = store.claim(60, ["slow.example"])
    assert (claimed.job_id, claimed.host) == (quick, "quick.example:443")
    assert store.claim(60, ["slow.example"]) is None
    assert store.claim(60).host == "slow.example"
    assert store.claim(60, busy_owners=["local"]) is None


def test_a_job_that_is_being_erased_is_not_reported(engine, store, ended):
    change(engine, ended(), JobRow, erasing=True)
    assert store.claim(60) is None


@pytest.mark.parametrize("with_result", [True, False])
def test_a_result_is_carried_only_where_it_was_asked_for(engine, store, ended, with_result):
    job_id = ended(with_result=with_result)
    with engine.begin() as connection:
        connection.execute(sa.insert(ResultRow).values(job_id=job_id, body={"segments": []}))
    assert store.claim(60).result == ({"segments": []} if with_result else None)


def test_only_a_failed_report_is_sent_again_and_has_all_the_time(engine, store, ended):
    job_id = ended()
    with pytest.raises(NoFailedDelivery):
        store.redeliver(job_id)
    store.note(store.claim(60), {"status": 410}, FAILED)
    change(engine, job_id, created_at=sa.text("now() - interval '2 days'"))
    store.redeliver(job_id)
    again = store.claim(60)
    assert again.attempts == ({"status": 410},)
    assert again.age_seconds < 60
    store.note(again, {"status": 200}, DELIVERED)
    with pytest.raises(NoFailedDelivery):
        store.redeliver(job_id)
    with pytest.raises(NoFailedDelivery):
        store.redeliver(uuid.uuid4())
