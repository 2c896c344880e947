"""A web server that takes reports on jobs, and ill-treats whoever sends them."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True)
class Reply:
    """How one report is answered."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    pause: float = 0.0
    """Seconds before the answer."""
    raw: bytes | None = None
    """Sent instead of an answer."""
    dribble: float = 0.0
    """Seconds between the bytes of ``raw``, which then never end."""


@dataclass(frozen=True, slots=True)
class Received:
    path: str
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Receiver:
    """Listens on loopback; replies in the order given, then always as ``otherwise`` says."""

    def __init__(
        self,
        *replies: Reply,
        otherwise: Reply = Reply(),
        tls: Any = None,
        host: str = "127.0.0.1",
    ) -> None:
        self.replies = list(replies)
        self.otherwise = otherwise
        self.received: list[Received] = []
        self.connections = 0
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()
        self.closing = threading.Event()
        self._server = _Server((host, 0), type("Handler", (_Handler,), {"receiver": self}))
        if tls:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(tls)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port
        self.url = f"{'https' if tls else 'http'}://{host}:{self.port}/hook"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def __enter__(self) -> Receiver:
        return self

    def __exit__(self, *error: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()

    def next_reply(self) -> Reply:
        with self.lock:
            return self.replies.pop(0) if self.replies else self.otherwise


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients hang up here all the time."""


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        with self.receiver.lock:
            self.receiver.connections += 1
        super().setup()

    def do_POST(self) -> None:
        receiver = self.receiver
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with receiver.lock:
            receiver.received.append(Received(self.path, self.headers, body))
            receiver.at_once += 1
            receiver.most_at_once = max(receiver.most_at_once, receiver.at_once)
        try:
            self._reply(receiver.next_reply())
        finally:
            with receiver.lock:
                receiver.at_once -= 1

    do_GET = do_POST  # noqa: N815 - what the base class looks for

    def _reply(self, reply: Reply) -> None:
        self.receiver.closing.wait(reply.pause)
        if reply.raw is not None:
            self._send_raw(reply)
            return
        self.send_response(reply.status)
        for name, value in {"Content-Length": "0", **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def _send_raw(self, reply: Reply) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.wfile.write(reply.raw or b"")
            while reply.dribble and not self.receiver.closing.wait(reply.dribble):
                self.wfile.write(b"x")

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


def until(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Wait for a condition, and return what it came to."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found
