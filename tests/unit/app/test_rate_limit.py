"""Token buckets of one process, while no Redis can be asked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.rate_limit import Policy, RateLimiter, _LocalBuckets
from emotion_clf.local.servers import free_port


@pytest.fixture
def limiter() -> RateLimiter:
    return RateLimiter(f"redis://127.0.0.1:{free_port()}/0")


def test_a_bucket_gives_its_burst_and_then_says_when_to_come_again(limiter):
    policy = Policy("reads", a_minute=6, burst=3)
    verdicts = [limiter.take(policy, "me") for _ in range(4)]
    assert [verdict.allowed for verdict in verdicts] == [True, True, True, False]
    assert [verdict.remaining for verdict in verdicts] == [2, 1, 0, 0]
    assert verdicts[0].retry_seconds == 0
    assert 9 < verdicts[3].retry_seconds <= 10
    assert 29 < verdicts[3].full_seconds <= 30
    assert not any(verdict.shared for verdict in verdicts)


def test_each_client_and_each_policy_has_a_bucket_of_its_own(limiter):
    reads, creations = Policy("reads", 1, 1), Policy("creations", 1, 1)
    assert limiter.take(reads, "me").allowed
    assert limiter.take(reads, "you").allowed
    assert limiter.take(creations, "me").allowed
    assert not limiter.take(reads, "me").allowed


def test_the_window_is_the_time_in_which_a_bucket_fills():
    assert Policy("reads", a_minute=1200, burst=200).window_seconds == 10
    assert Policy("tokens", a_minute=20, burst=3).window_seconds == 9


@given(
    interval=st.integers(1, 1000),
    capacity=st.integers(1, 20),
    pauses=st.lists(st.integers(0, 3000), max_size=60),
)
def test_no_stretch_of_time_gives_more_than_the_burst_and_the_rate(interval, capacity, pauses):
    now = 1_000_000
    buckets = _LocalBuckets(lambda: now)
    given_at: list[int] = []
    for pause in pauses:
        now += pause
        wait, _ = buckets.take("me", interval, capacity)
        if wait == 0:
            given_at.append(now)
    for first, start in enumerate(given_at):
        for last in range(first, len(given_at)):
            stretch = given_at[last] - start
            assert last - first + 1 <= capacity + stretch / interval


def test_the_number_of_buckets_in_memory_is_bounded():
    buckets = _LocalBuckets(lambda: 1, most=3)
    for who in "abcd":
        buckets.take(who, 1000, 1)
    assert buckets.take("d", 1000, 1)[0] > 0
    assert buckets.take("a", 1000, 1)[0] == 0
