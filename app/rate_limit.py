"""Rate limits: token buckets that all processes share.

A bucket holds a policy's burst and fills at the policy's rate; each request takes a token.
It is kept as one number, the time at which it will be full again, since what it holds now
follows from that. One script in Redis reads Redis' own clock and takes the token, so neither
the number of processes nor their clocks matter. While Redis cannot be asked each process
counts for itself, and says so in its verdicts.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

_TIMEOUT_SECONDS = 0.25
_PAUSE_SECONDS = 1.0
"""How long a Redis that did not answer is left alone."""
_MOST_LOCAL = 10_000
_PREFIX = "emotion_clf:limit"
_TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, capacity = tonumber(ARGV[1]), tonumber(ARGV[2])
local full_at = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local wait = full_at + interval - now - capacity * interval
if wait > 0 then
    return {wait, full_at - now}
end
full_at = full_at + interval
redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PX', math.ceil((full_at - now) / 1000))
return {0, full_at - now}
"""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Policy:
    """How many requests of one kind a client may make."""

    name: str
    a_minute: int
    """Tokens that a bucket gains."""
    burst: int
    """Tokens that it holds at most, 1 or more."""

    @property
    def interval(self) -> int:
        """Microseconds in which a bucket gains one token."""
        return math.ceil(60_000_000 / self.a_minute)

    @property
    def window_seconds(self) -> int:
        """How long an empty bucket takes to be full."""
        return math.ceil(self.burst * self.interval / 1e6)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request may go on, and what is left in its bucket."""

    allowed: bool
    remaining: int
    """Requests that could follow at once."""
    full_seconds: float
    """When the bucket will be full."""
    retry_seconds: float
    """When a refused request may come again; 0 for one that may go on."""
    shared: bool
    """Whether all processes count together; without Redis each counts for itself."""


class RateLimiter:
    """Takes tokens. Safe to share between threads."""

    def __init__(self, redis_url: str) -> None:
        self._redis = redis.Redis.from_url(
            redis_url,
            socket_timeout=_TIMEOUT_SECONDS,
            socket_connect_timeout=_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._script = self._redis.register_script(_TAKE)
        self._local = _LocalBuckets()
        self._lock = threading.Lock()
        self._ask_again_at: float | None = None
        """When a Redis that did not answer is asked again; None while it answers."""

    def take(self, policy: Policy, who: str) -> Verdict:
        """Take one token from the bucket that ``policy`` gives ``who``."""
        key = f"{_PREFIX}:{policy.name}:{who}"
        if self._may_ask():
            try:
                wait, full = self._script(keys=[key], args=[policy.interval, policy.burst])
            except (redis.RedisError, OSError) as error:
                self._rest(error)
            else:
                self._go_on()
                return _verdict(policy, wait, full, shared=True)
        wait, full = self._local.take(key, policy.interval, policy.burst)
        return _verdict(policy, wait, full, shared=False)

    def _may_ask(self) -> bool:
        """Whether to ask Redis: one that did not answer is tried by one thread at a time."""
        if self._ask_again_at is None:
            return True
        with self._lock:
            now = time.monotonic()
            if self._ask_again_at is not None and now < self._ask_again_at:
                return False
            self._ask_again_at = now + _PAUSE_SECONDS
            return True

    def _rest(self, error: Exception) -> None:
        with self._lock:
            news = self._ask_again_at is None
            self._ask_again_at = time.monotonic() + _PAUSE_SECONDS
        if news:
            log.warning("rate_limits_not_shared", error=type(error).__name__)

    def _go_on(self) -> None:
        if self._ask_again_at is not None:
            with self._lock:
                self._ask_again_at = None
            log.info("rate_limits_shared_again")


def _microseconds() -> int:
    return time.monotonic_ns() // 1000


class _LocalBuckets:
    """The same buckets, of this process alone; the one that was used longest ago gives way."""

    def __init__(self, clock: Callable[[], int] = _microseconds, most: int = _MOST_LOCAL) -> None:
        self._clock = clock
        self._most = most
        self._full_at: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: str, interval: int, capacity: int) -> tuple[int, int]:
        """Do what the script does; return what it returns, in microseconds."""
        now = self._clock()
        with self._lock:
            full_at = max(self._full_at.pop(key, 0), now)
            wait = full_at + interval - now - capacity * interval
            if wait <= 0:
                full_at += interval
            self._full_at[key] = full_at
            if len(self._full_at) > self._most:
                self._full_at.popitem(last=False)
        return max(0, wait), full_at - now


def _verdict(policy: Policy, wait: int, full: int, *, shared: bool) -> Verdict:
    return Verdict(
        allowed=wait == 0,
        remaining=policy.burst - math.ceil(full / policy.interval),
        full_seconds=full / 1e6,
        retry_seconds=wait / 1e6,
        shared=shared,
    )
