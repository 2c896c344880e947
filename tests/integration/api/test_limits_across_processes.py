"""Limits hold over several API processes, also while their Redis is gone."""

from __future__ import annotations

import itertools
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
import requests
from api_process import started

from app.auth import Scope, Tokens
from app.settings.sections import AuthSettings
from emotion_clf.local.servers import Redis

SECRET = "a secret of at least thirty-two characters"
PROCESSES = 4
RATE, BURST = 60, 60
CALLS = 200
SETTINGS = {
    "EMOTION_CLF_AUTH__SECRET": SECRET,
    "EMOTION_CLF_LIMITS__CREATIONS_A_MINUTE": str(RATE),
    "EMOTION_CLF_LIMITS__BURST_SECONDS": str(60 * BURST // RATE),
    "EMOTION_CLF_API__THREADS": "8",
}


@dataclass
class Service:
    """Several processes of one service, asked in turn."""

    redis: Redis
    addresses: list[str]
    headers: dict[str, str] = field(default_factory=dict)

    def call(self, method: str, calls: int) -> tuple[list[requests.Response], float]:
        """Call many times at once; return the answers, and how long it took in seconds."""
        turns = itertools.islice(itertools.cycle(self.addresses), calls)
        body = {"json": {"text": "Hello."}} if method == "POST" else {}

        def call(address: str) -> requests.Response:
            return requests.request(
                method, f"{address}/jobs", headers=self.headers, timeout=30, **body
            )

        began = time.monotonic()
        with ThreadPoolExecutor(32) as pool:
            replies = list(pool.map(call, turns))
        return replies, time.monotonic() - began


@pytest.fixture(scope="module")
def processes(migrated_url, tmp_path_factory):
    base = tmp_path_factory.mktemp("limits")
    redis = Redis(base / "redis")
    redis.start()
    with ExitStack() as stack, ThreadPoolExecutor(PROCESSES) as pool:
        contexts = [
            started(migrated_url, redis.url, base / str(number), **SETTINGS)
            for number in range(PROCESSES)
        ]
        stack.callback(redis.stop)
        for context in contexts:
            stack.push(context)
        addresses = [address for _, address in pool.map(lambda c: c.__enter__(), contexts)]
        yield Service(redis, addresses)


@pytest.fixture
def service(processes) -> Service:
    """The processes, and a client that nobody knows yet."""
    token = Tokens(AuthSettings(secret=SECRET)).issue(
        uuid.uuid4().hex, [Scope.JOBS_READ, Scope.JOBS_WRITE], timedelta(hours=1)
    )
    processes.headers = {"Authorization": f"Bearer {token}"}
    return processes


def accepted(replies) -> int:
    assert {reply.status_code for reply in replies} <= {202, 429}
    for reply in replies:
        assert reply.status_code == 202 or int(reply.headers["Retry-After"]) >= 1
    return sum(reply.status_code == 202 for reply in replies)


def test_all_processes_together_accept_the_burst_and_what_time_gives(service):
    replies, seconds = service.call("POST", CALLS)
    assert BURST <= accepted(replies) <= BURST + seconds * RATE / 60


def test_without_redis_creation_is_bounded_reads_go_on_and_nothing_breaks(service):
    service.redis.kill()
    try:
        replies, _ = service.call("POST", CALLS)
        # What a bucket lets through in its best minute, whoever counts.
        assert accepted(replies) == RATE + BURST
        reads, _ = service.call("GET", 40)
        assert {reply.status_code for reply in reads} == {200}
    finally:
        service.redis.start()


def test_when_redis_is_back_it_counts_again(service):
    service.redis.kill()
    service.call("GET", PROCESSES)
    service.redis.start()
    time.sleep(1.5)  # longer than a Redis that did not answer is left alone
    service.call("GET", 8 * PROCESSES)
    replies, seconds = service.call("POST", CALLS)
    assert BURST <= accepted(replies) <= BURST + seconds * RATE / 60
