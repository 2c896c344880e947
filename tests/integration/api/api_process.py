"""The API behind its real server, and requests to it byte by byte."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.api import create_app
from app.api.channel import Bounds
from app.api.server import make_server, port_of
from app.settings import Settings

COMMAND = ("-m", "app.api")


@contextmanager
def started(
    database: str,
    redis_url: str,
    directory: Path,
    *,
    command: tuple[str, ...] = COMMAND,
    **settings: str,
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A running API, and its address. Settings are named as in the environment."""
    environment = os.environ | {
        "DATABASE_URL": database,
        "REDIS_URL": redis_url,
        "ARTIFACT_URL": f"file://{directory}/artifacts",
        "EMOTION_CLF_SOURCE__MAX_BYTES": "1000000",
        **settings,
    }
    directory.mkdir(parents=True, exist_ok=True)
    log = directory / "api.log"
    with log.open("w") as sink:
        child = subprocess.Popen(
            [sys.executable, *command, "--port", "0"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=sink,
        )
    try:
        yield child, f"http://127.0.0.1:{_port(child, log)}"
    finally:
        child.kill()
        child.communicate()


def _port(child: subprocess.Popen[bytes], log: Path) -> int:
    for _ in range(300):
        found = re.search(r'"port": (\d+)', log.read_text())
        if found:
            return int(found[1])
        assert child.poll() is None, log.read_text()
        time.sleep(0.1)
    raise AssertionError(log.read_text())


@contextmanager
def serving(settings: Settings, app: Any = None, bounds: Bounds | None = None) -> Iterator[str]:
    """An application behind waitress, in a thread of this process; yield its address."""
    server = make_server(app or create_app(settings), settings, "127.0.0.1", 0, bounds)
    threading.Thread(target=server.run, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{port_of(server)}"
    finally:
        server.close()
        server.task_dispatcher.shutdown()


def connect(address: str, *, receives: int | None = None) -> socket.socket:
    """Open a connection to an address such as http://127.0.0.1:8000.

    ``receives``: bytes that the kernel takes in before somebody reads, or its least if fewer.
    """
    host, _, port = address.removeprefix("http://").partition(":")
    connection = socket.socket()
    if receives:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
    connection.settimeout(20)
    connection.connect((host, int(port)))
    return connection


def answer(connection: socket.socket) -> tuple[bytes, bytes]:
    """Read until the server closes; return head and body."""
    received = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = received.partition(b"\r\n\r\n")
    return head, body


def exchange(address: str, request: bytes) -> tuple[bytes, bytes]:
    """Send bytes as they are, and no more; return head and body of the answer."""
    with connect(address) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return answer(connection)
