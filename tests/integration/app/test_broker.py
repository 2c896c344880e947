from __future__ import annotations

import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from app.queue import TASK, Broker, BrokerUnavailable
from app.settings import Settings


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


@pytest.fixture
def impostor(tmp_path: Path) -> Iterator[tuple[int, list[str]]]:
    """A server whose certificate nobody has signed: its port, and what became of handshakes."""
    command = "req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -keyout key -out cert"
    subprocess.run(["openssl", *command.split()], cwd=tmp_path, check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    outcomes: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                try:
                    with context.wrap_socket(client, server_side=True) as connection:
                        outcomes.append(connection.recv(100).decode())
                except ssl.SSLError as error:
                    outcomes.append(error.reason)

        threading.Thread(target=answer, daemon=True).start()
        yield listener.getsockname()[1], outcomes


def test_no_password_is_told_to_a_broker_without_a_good_certificate(
    impostor: tuple[int, list[str]],
) -> None:
    port, outcomes = impostor
    settings = Settings.load(redis_url=f"rediss://:password@localhost:{port}/0")
    with Broker(settings.redis_url) as broker:
        for call in (broker.ping, lambda: broker.send(1, "cpu")):
            with pytest.raises(BrokerUnavailable):
                call()
    assert outcomes
    assert set(outcomes) == {"TLSV1_ALERT_UNKNOWN_CA"}
