"""Reports on their way: senders over a real database, and receivers that ill-treat them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from receiver import Receiver, Reply, until

from app.db import create_db_engine
from app.jobs import Callback, DeliveryState, NewJob
from app.settings import Settings
from app.signatures import signing_key
from app.stores.deliveries import DeliveryStore
from app.stores.jobs import JobStore
from workers import webhooks
from workers.webhooks import PER_HOST, SENDERS, webhook_rounds

ROOT = Path(__file__).parents[2]
DOCUMENTATION = ROOT / "docs" / "api.md"
SECRET = "a secret that is long enough for it"
WEBHOOKS = {"secret": SECRET, "timeout": 0.7}


class Jobs:
    """Jobs that have ended, and what became of the reports on them."""

    def __init__(self, database: str) -> None:
        self.engine = create_db_engine(database)
        self._jobs = JobStore(self.engine)
        self._deliveries = DeliveryStore(self.engine)

    def ended(self, url: str, owner: str = "local") -> Any:
        callback = Callback(url)
        job = self._jobs.submit(NewJob("upload", "k", owner=owner, callback=callback))
        self._jobs.cancel(job.id, owner)
        return job.id

    def delivery(self, job_id: Any) -> Any:
        return self._deliveries.of_jobs([job_id])[job_id]

    def in_state(self, state: DeliveryState, *job_ids: Any) -> bool:
        return all(self.delivery(job_id).state is state for job_id in job_ids)

    def let_time_pass(self) -> None:
        """What waits for its next attempt is due now."""
        with self.engine.begin() as connection:
            connection.execute(sa.text("UPDATE deliveries SET due_at = now()"))


@pytest.fixture
def jobs(database: str) -> Iterator[Jobs]:
    jobs = Jobs(database)
    yield jobs
    jobs.engine.dispose()


@pytest.fixture
def settings(database: str, redis_url: str) -> Settings:
    return Settings.load(
        database_url=database,
        redis_url=redis_url,
        webhooks=WEBHOOKS,
        source={"allowed_networks": ["127.0.0.0/8"]},
    )


@contextmanager
def sending(settings: Settings) -> Iterator[None]:
    """The senders of one dispatcher, at work, and in a hurry."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(webhooks, "POLL_SECONDS", 0.1)
        rounds = webhook_rounds(settings)
    for each in rounds:
        each.start()
    yield
    for each in rounds:
        each.stop(timeout=0)
    for each in rounds:
        each.stop()


@pytest.fixture
def senders(settings: Settings) -> Iterator[None]:
    with sending(settings):
        yield


def documented(language: str, mark: str) -> str:
    """Return the example in the documentation that holds a mark."""
    blocks = re.findall(rf"```{language}\n(.*?)```", DOCUMENTATION.read_text(), re.DOTALL)
    (found,) = [block for block in blocks if mark in block]
    return found


def test_a_report_is_signed_as_the_documented_receiver_checks(
    jobs: Jobs, settings: Settings, senders: None
) -> None:
    names: dict[str, Any] = {}
    exec(documented("python", "Webhook-Signature"), names)
    is_genuine = names["is_genuine"]
    with Receiver() as receiver:
        job_id = jobs.ended(receiver.url, owner="somebody")
        until(lambda: jobs.in_state(DeliveryState.DELIVERED, job_id))
    (received,) = receiver.received
    assert received.json["id"] == received.headers["Webhook-Id"] == str(jobs.delivery(job_id).id)
    assert received.json["job"]["id"] == str(job_id)
    assert received.headers["Content-Type"] == "application/json"
    key = signing_key(SECRET, "somebody")
    assert is_genuine(key, received.headers, received.body)
    assert not is_genuine(key, received.headers, received.body + b" ")
    assert not is_genuine(signing_key(SECRET, "another"), received.headers, received.body)
    del received.headers["Webhook-Timestamp"]
    received.headers["Webhook-Timestamp"] = "1700000000"
    assert not is_genuine(key, received.headers, received.body)


def test_the_documented_report_has_the_shape_of_a_real_one(jobs: Jobs, senders: None) -> None:
    with Receiver() as receiver:
        jobs.ended(receiver.url)
        until(lambda: receiver.received)
    shown, real = json.loads(documented("json", '"job.completed"')), receiver.received[0].json
    assert list(shown) == list(real)
    assert list(shown["job"]) == list(real["job"])


def test_each_attempt_is_noted_and_the_last_one_delivers(jobs: Jobs, senders: None) -> None:
    canary = Receiver()
    replies = [Reply(500), Reply(302, {"Location": canary.url}), Reply(pause=30), Reply(raw=b"?")]
    with canary, Receiver(*replies) as receiver:
        job_id = jobs.ended(receiver.url)
        for count in range(1, len(replies) + 1):
            until(lambda count=count: len(jobs.delivery(job_id).attempts) == count)
            assert jobs.in_state(DeliveryState.PENDING, job_id)
            jobs.let_time_pass()
        until(lambda: jobs.in_state(DeliveryState.DELIVERED, job_id))
    outcomes = [a.get("status", a.get("error")) for a in jobs.delivery(job_id).attempts]
    assert outcomes == [500, 302, "timeout", "invalid_answer", 200]
    assert len({received.headers["Webhook-Id"] for received in receiver.received}) == 1
    assert canary.connections == 0


def test_who_is_gone_gets_it_once(jobs: Jobs, senders: None) -> None:
    with Receiver(otherwise=Reply(410)) as receiver:
        job_id = jobs.ended(receiver.url)
        until(lambda: jobs.in_state(DeliveryState.FAILED, job_id))
    assert len(receiver.received) == 1


def test_a_forbidden_address_is_told_and_not_dialled(jobs: Jobs, settings: Settings) -> None:
    closed = settings.model_copy(update={"source": Settings().source})
    with Receiver() as canary, sending(closed):
        job_id = jobs.ended(canary.url)
        until(lambda: jobs.delivery(job_id).attempts)
    assert jobs.delivery(job_id).attempts[0]["error"] == "forbidden_address"
    assert canary.connections == 0


def test_slow_receivers_do_not_hold_up_the_others(jobs: Jobs, senders: None) -> None:
    with Receiver(otherwise=Reply(pause=0.5)) as slow, Receiver() as quick:
        hanging = [jobs.ended(slow.url) for _ in range(2 * SENDERS)]
        until(lambda: slow.received)
        waiting = [jobs.ended(quick.url) for _ in range(30)]
        until(lambda: jobs.in_state(DeliveryState.DELIVERED, *waiting))
        assert not jobs.in_state(DeliveryState.DELIVERED, *hanging)
        until(lambda: jobs.in_state(DeliveryState.DELIVERED, *hanging[:8]))
    assert slow.most_at_once <= PER_HOST
    assert len(quick.received) == len(waiting)


def test_an_owner_with_many_slow_receivers_does_not_hold_up_the_others(
    jobs: Jobs, senders: None
) -> None:
    anywhere = Receiver(otherwise=Reply(pause=0.5), host="0.0.0.0")
    with anywhere as slow, Receiver() as quick:
        port = slow.url.rpartition(":")[2]
        names = [f"http://127.0.0.{number}:{port}" for number in range(1, 2 * SENDERS)]
        hanging = [jobs.ended(name, "mallory") for name in names for _ in range(2)]
        until(lambda: jobs.delivery(hanging[0]).attempts)
        waiting = [jobs.ended(quick.url, "alice") for _ in range(30)]
        until(lambda: jobs.in_state(DeliveryState.DELIVERED, *waiting))
        # More than could be on their way if the others had come after all of them.
        assert sum(not jobs.delivery(job_id).attempts for job_id in hanging) > SENDERS


def test_several_dispatchers_share_the_work(jobs: Jobs, settings: Settings) -> None:
    with Receiver() as receiver, sending(settings), sending(settings):
        job_ids = [jobs.ended(receiver.url) for _ in range(40)]
        until(lambda: jobs.in_state(DeliveryState.DELIVERED, *job_ids))
    assert len(receiver.received) == len(job_ids)


def test_without_a_secret_nothing_is_sent(settings: Settings) -> None:
    assert webhook_rounds(settings.model_copy(update={"webhooks": Settings().webhooks})) == ()


@contextmanager
def dispatcher(settings: Settings, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A real dispatcher, killed at the end."""
    environment = os.environ | {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "EMOTION_CLF_WEBHOOKS__SECRET": SECRET,
        "EMOTION_CLF_WEBHOOKS__TIMEOUT": str(settings.webhooks.timeout),
        "EMOTION_CLF_SOURCE__ALLOWED_NETWORKS": "127.0.0.0/8",
    }
    with log.open("ab") as sink:
        child = subprocess.Popen(
            [sys.executable, "-m", "workers.dispatcher"], cwd=ROOT, env=environment, stderr=sink
        )
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def test_a_dispatcher_killed_in_mid_delivery_repeats_it_once(
    jobs: Jobs, settings: Settings, tmp_path: Path
) -> None:
    log = tmp_path / "dispatcher.log"
    with Receiver(Reply(pause=0.5)) as receiver:
        job_id = jobs.ended(receiver.url)
        with dispatcher(settings, log) as child:
            until(lambda: receiver.received)
            child.kill()
        assert jobs.in_state(DeliveryState.PENDING, job_id)
        with dispatcher(settings, log) as child:
            until(lambda: jobs.in_state(DeliveryState.DELIVERED, job_id))
            child.send_signal(signal.SIGTERM)
            assert child.wait(10) == 0
    first, second = receiver.received
    assert first.headers["Webhook-Id"] == second.headers["Webhook-Id"]
    assert first.body == second.body
    assert len(jobs.delivery(job_id).attempts) == 1
    assert "hook" not in log.read_text().replace("webhook", "")
