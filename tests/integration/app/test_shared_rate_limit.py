"""Token buckets in a real Redis, which goes away and comes back."""

from __future__ import annotations

import os
import signal
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from app.rate_limit import Policy, RateLimiter
from emotion_clf.local.servers import Redis

SLOW = Policy("creations", a_minute=1, burst=5)


@pytest.fixture
def who() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def own_redis(tmp_path):
    """A Redis that the test may kill."""
    server = Redis(tmp_path / "redis")
    server.start()
    yield server
    server.stop()


def test_two_limiters_share_a_bucket(redis_url, who):
    one, other = RateLimiter(redis_url), RateLimiter(redis_url)
    verdicts = [limiter.take(SLOW, who) for limiter in (one, other) * 3]
    assert [verdict.allowed for verdict in verdicts] == [True] * 5 + [False]
    assert [verdict.remaining for verdict in verdicts] == [4, 3, 2, 1, 0, 0]
    assert all(verdict.shared for verdict in verdicts)
    assert 59 < verdicts[-1].retry_seconds <= 60


def test_exactly_the_burst_passes_however_many_ask_at_once(redis_url, who):
    policy = Policy("reads", a_minute=1, burst=50)
    limiters = [RateLimiter(redis_url) for _ in range(4)]
    with ThreadPoolExecutor(16) as pool:
        verdicts = list(pool.map(lambda n: limiters[n % 4].take(policy, who), range(200)))
    assert sum(verdict.allowed for verdict in verdicts) == 50


def test_a_bucket_fills_again_and_is_forgotten_once_it_is_full(redis_url, who):
    quick = Policy("reads", a_minute=6000, burst=1)
    limiter, server = RateLimiter(redis_url), redis.Redis.from_url(redis_url)
    assert limiter.take(quick, who).allowed
    time.sleep(0.02)
    assert limiter.take(quick, who).allowed
    limiter.take(SLOW, who)
    (slow,) = server.keys(f"*:creations:{who}")
    assert 0 < server.pttl(slow) <= 60_000
    time.sleep(0.02)
    assert not server.keys(f"*:reads:{who}")


def test_without_redis_a_process_counts_for_itself_until_it_is_back(own_redis, who):
    limiter = RateLimiter(own_redis.url)
    many = Policy("reads", a_minute=1, burst=1000)

    def all_shared() -> bool:
        with ThreadPoolExecutor(8) as pool:
            return all(v.shared for v in pool.map(lambda _: limiter.take(many, who), range(50)))

    assert all_shared()
    own_redis.kill()
    alone = [limiter.take(SLOW, who) for _ in range(6)]
    assert [verdict.allowed for verdict in alone] == [True] * 5 + [False]
    assert not any(verdict.shared for verdict in alone)
    own_redis.start()
    deadline = time.monotonic() + 10
    while not limiter.take(SLOW, who).shared:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    # No connection of before the crash fails now because it is an old one.
    assert all_shared()


def test_a_redis_that_does_not_answer_is_asked_once_a_second_at_most(own_redis, who):
    limiter = RateLimiter(own_redis.url)
    limiter.take(SLOW, who)
    own_redis.kill()
    asked = []
    script = limiter._script
    limiter._script = lambda **arguments: (asked.append(1), script(**arguments))[1]
    for _ in range(1000):
        limiter.take(SLOW, who)
    assert len(asked) <= 3


def test_a_redis_that_hangs_holds_up_one_request_for_a_moment(own_redis, who):
    limiter = RateLimiter(own_redis.url)
    assert limiter.take(SLOW, who).shared
    os.kill(own_redis.pid, signal.SIGSTOP)
    assert not any(limiter.take(SLOW, who).shared for _ in range(3))
    os.kill(own_redis.pid, signal.SIGCONT)


def test_a_redis_that_is_full_is_one_that_cannot_be_asked(own_redis, who):
    server = redis.Redis.from_url(own_redis.url)
    server.config_set("maxmemory", "1")
    assert not RateLimiter(own_redis.url).take(SLOW, who).shared
