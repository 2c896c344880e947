from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import redis

from app.queue import TASK, Broker, BrokerUnavailable


@pytest.fixture
def broker(redis_url: str) -> Iterator[Broker]:
    redis.Redis.from_url(redis_url).flushall()
    with Broker(redis_url) as broker:
        yield broker


def test_a_message_holds_the_step_and_nothing_else(broker: Broker, redis_url: str) -> None:
    broker.send(7, "gpu")
    assert broker.depths() == {"cpu": 0, "gpu": 1}
    assert broker.empty_queues() == ["cpu"]
    message = json.loads(redis.Redis.from_url(redis_url).lindex("gpu", 0))
    assert message["headers"]["task"] == TASK
    assert message["headers"]["kwargsrepr"] == "{'step_id': 7}"


def test_a_flush_is_noticed_and_sending_goes_on(broker: Broker, redis_url: str) -> None:
    assert not broker.remembers()
    broker.remember()
    assert broker.remembers()
    broker.send(1, "cpu")
    redis.Redis.from_url(redis_url).flushall()
    assert not broker.remembers()
    broker.send(2, "cpu")
    assert broker.depths()["cpu"] == 1


def test_a_broker_that_is_away_is_reported() -> None:
    with Broker("redis://127.0.0.1:1/0") as broker:
        for call in (broker.ping, broker.depths, broker.remembers, lambda: broker.send(1, "cpu")):
            with pytest.raises(BrokerUnavailable):
                call()
