"""The client against a service that answers with what is put into its mouth."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from emotion_clf.client import FULL, Client, Refused, TokenRefused
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


@pytest.mark.parametrize(("token", "sent"), [(None, None), ("abc", "Bearer abc")])
def test_a_token_goes_with_every_request(token: str | None, sent: str | None) -> None:
    seen: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers["Authorization"])
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        Client(f"http://127.0.0.1:{server.server_port}", token).job("1")
        thread.join()
    assert seen == [sent]


class Answers(BaseHTTPRequestHandler):
    """Says what it is told to, in turn; the last answer for ever."""

    script: ClassVar[list[tuple[int, dict[str, str], dict[str, object]]]] = []
    asked: ClassVar[list[tuple[str | None, bytes]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append((self.headers["Idempotency-Key"], body))
        status, headers, document = self.script.pop(0) if self.script[1:] else self.script[0]
        answer = json.dumps(document).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(answer))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def moody() -> Iterator[str]:
    Answers.asked.clear()
    server = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def problem(status: int, code: str) -> tuple[int, dict[str, str], dict[str, object]]:
    document = {"status": status, "code": code, "detail": "Later.", "hint": "Wait."}
    return status, {"Retry-After": "0"}, document


def test_a_patient_client_asks_again_under_the_same_key(moody: str, tmp_path: Path) -> None:
    Answers.script = [problem(429, "rate.limited"), problem(503, "x"), (202, {}, {"id": "1"})]
    recording = tmp_path / "a.wav"
    recording.write_bytes(b"RIFF" * 50_000)
    assert Client(moody, patience=30).submit_file(recording, {"speakers": 2}, "key") == "1"
    assert [key for key, _ in Answers.asked] == ["key"] * 3
    sent = [body for _, body in Answers.asked]
    assert all(recording.read_bytes() in body and b'{"speakers": 2}' in body for body in sent)


def test_an_impatient_client_gives_up_at_once(moody: str) -> None:
    Answers.script = [problem(503, "service.unavailable")]
    with pytest.raises(Refused, match="Later") as refused:
        Client(moody).submit_urls(["https://a.example/"], key="key")
    assert refused.value.retry_after == 0
    assert len(Answers.asked) == 1


@pytest.mark.parametrize("code", sorted(FULL))
def test_what_lasts_until_jobs_have_ended_is_not_waited_for_inside(moody: str, code: str) -> None:
    Answers.script = [problem(429, code)]
    with pytest.raises(Refused):
        Client(moody, patience=30).submit_urls(["https://a.example/"], key="key")
    assert len(Answers.asked) == 1


def test_a_token_that_is_refused_is_the_callers_affair(moody: str) -> None:
    Answers.script = [problem(401, "auth.invalid")]
    with pytest.raises(TokenRefused) as refused:
        Client(moody, "token", patience=30).submit_urls(["https://a.example/"])
    assert refused.value.exit_code == 77
    assert refused.value.code == "auth.invalid"
