"""The client against a service that answers with what is put into its mouth."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from emotion_clf.client import Client
from emotion_clf.local.servers import free_port
from ml.errors import Cancelled, EmotionClfError, MediaInvalid, ServiceError


@contextmanager
def service(status: int, body: str) -> Iterator[Client]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield Client(f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def job(status: str, error: object = None) -> str:
    return json.dumps({"stage": None, "status": status, "progress": 0.0, "error": error})


FAILED = {"code": "media.invalid", "message": "It is damaged.", "hint": "Mend it."}
PROBLEM = {"code": "job.not_found", "detail": "There is no such job.", "hint": "Look."}


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (200, job("failed", FAILED), MediaInvalid, "It is damaged. Mend it."),
        (200, job("cancelled"), Cancelled, "cancelled"),
        (404, json.dumps(PROBLEM), ServiceError, "There is no such job. Look."),
        (502, "<html>Bad gateway</html>", ServiceError, "502, not JSON"),
    ],
)
def test_each_bad_answer_is_a_typed_error(
    status: int, body: str, kind: type[EmotionClfError], words: str
) -> None:
    with service(status, body) as client, pytest.raises(kind, match=words):
        client.wait("1", lambda stage, fraction, detail: None)


def test_a_service_that_is_not_there_is_a_typed_error() -> None:
    client = Client(f"http://127.0.0.1:{free_port()}")
    assert not client.ready()
    with pytest.raises(ServiceError, match="does not answer"):
        client.job("1")


def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = f"http://127.0.0.1:{free_port()}"
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with service(200, job("running")) as client:
        assert client.ready()
        assert client.job("1")["status"] == "running"
