"""The broker, seen from those who send: messages that hold a step's number and nothing else.

A message is a hint. What must run stands in Postgres; the dispatcher sends again what was
lost, so nothing here retries for long.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

import redis
from celery import Celery
from kombu.exceptions import OperationalError

from app.jobs import QUEUES, TASK, Queue

TIMEOUT_SECONDS = 3
_SENTINEL = "emotion_clf:broker_remembers"

BrokerUnavailable = (redis.RedisError, OperationalError, OSError)
"""What the methods here raise when the broker does not answer."""


class Broker:
    """Sends steps to their queues, and notices when the broker lost what it had."""

    def __init__(self, redis_url: str) -> None:
        self._redis = redis.Redis.from_url(
            redis_url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS
        )
        self._celery = Celery("emotion_clf", broker=redis_url, set_as_current=False)
        self._celery.conf.update(
            task_ignore_result=True,
            task_publish_retry=False,
            broker_connection_timeout=TIMEOUT_SECONDS,
            broker_transport_options={
                "socket_timeout": TIMEOUT_SECONDS,
                "socket_connect_timeout": TIMEOUT_SECONDS,
                "max_retries": 0,
            },
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def send(self, step_id: int, queue: Queue) -> None:
        """Send one step to a queue; raise one of :data:`BrokerUnavailable`."""
        self._celery.send_task(TASK, kwargs={"step_id": step_id}, queue=queue, retry=False)

    def ping(self) -> None:
        """Raise one of :data:`BrokerUnavailable` unless the broker answers."""
        self._redis.ping()

    def empty_queues(self) -> list[Queue]:
        """Return the queues in which no message waits."""
        return [queue for queue, depth in self.depths().items() if not depth]

    def depths(self) -> dict[Queue, int]:
        """Return the number of messages that wait in each queue."""
        # kombu keeps messages of the default priority in a list named like the queue.
        return {queue: int(self._redis.llen(queue)) for queue in QUEUES}

    def remembers(self) -> bool:
        """Whether the broker still holds what :meth:`remember` wrote.

        False after a flush or a restart without persistence: its messages are gone then.
        """
        return bool(self._redis.exists(_SENTINEL))

    def remember(self) -> None:
        """Leave the mark that :meth:`remembers` looks for."""
        self._redis.set(_SENTINEL, 1)

    def close(self) -> None:
        """Close the connections."""
        self._celery.close()
        self._redis.close()
