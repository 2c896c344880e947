"""A server on 127.0.0.1 that answers as AssemblyAI's API v2 does, and fails on request.

It recognises nothing: what "was said" is given to it. Everything else it does as the service
does: it checks the key, keeps uploads, refuses orders that are wrong, goes through the statuses,
gives speakers, languages and redaction only to those who ask for them, and deletes.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest

KEY = "0123456789abcdef0123456789abcdef"
LANGUAGES = frozenset({"en", "en_us", "de", "es", "fr", "it", "pt", "nl", "ja", "zh"})
POLICIES = frozenset({
    "account_number", "banking_information", "credit_card_number", "date_of_birth",
    "email_address", "ip_address", "location", "location_city", "person_name", "phone_number",
    "url", "us_social_security_number",
})  # fmt: skip
UPLOAD, ORDER, LOOK, DELETE = (
    "POST upload",
    "POST transcript",
    "GET transcript",
    "DELETE transcript",
)


@dataclass(frozen=True, slots=True)
class Spoken:
    """A word as it is said, in milliseconds, and the policy that it falls under."""

    text: str
    start: int
    end: int
    speaker: str | None = "A"
    policy: str | None = None
    confidence: float = 0.98

    def written(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """Return the word as an answer to an order holds it."""
        text = self.text
        if order.get("redact_pii") and self.policy in order["redact_pii_policies"]:
            bare = text.rstrip(".,!?")
            by_name = order.get("redact_pii_sub") == "entity_name"
            hidden = f"[{str(self.policy).upper()}]" if by_name else "#" * len(bare)
            text = hidden + text[len(bare) :]
        return {
            "text": text,
            "start": self.start,
            "end": self.end,
            "confidence": self.confidence,
            "speaker": self.speaker if order.get("speaker_labels") else None,
        }


SPEECH = (
    "And so, my fellow Americans, ask not what your country can do for you, "
    "ask what you can do for your country."
)
JFK = tuple(Spoken(text, 300 + i * 480, 700 + i * 480) for i, text in enumerate(SPEECH.split()))


@dataclass(frozen=True, slots=True)
class Fault:
    """What one request meets instead of an answer."""

    status: int = 200
    body: bytes = b'{"error": "Server error, developers have been alerted."}'
    headers: Mapping[str, str] = field(default_factory=dict)
    drop: bool = False
    """Close the connection without a word."""


@dataclass(slots=True)
class Sent:
    """A request as it came in."""

    route: str
    headers: Mapping[str, str]
    body: bytes
    time: float


class AssemblyAIServer:
    """The service, its memory, and what goes wrong with it."""

    def __init__(self) -> None:
        self.spoken: tuple[Spoken, ...] = JFK
        self.language = "en"
        self.statuses = ["queued", "processing", "completed"]
        """What a transcript goes through, one at each look; the last one stays."""
        self.error: str | None = None
        """Why transcripts end in the status ``error``."""
        self.leaks = False
        """Whether the words are left as they were said although the text is redacted."""
        self.sent: list[Sent] = []
        self.uploads: list[bytes] = []
        self.orders: dict[str, dict[str, Any]] = {}
        self.deleted: list[str] = []
        self._faults: dict[str, deque[Fault]] = {}
        self._held: set[str] = set()
        self._changed = threading.Condition()
        self._looks: dict[str, int] = {}
        handler = type("Handler", (_Handler,), {"service": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def fail(self, route: str, *faults: Fault) -> None:
        """Let the next requests on a route meet these faults, one each."""
        self._faults[route] = deque(faults)

    def hold(self, route: str) -> None:
        """Let requests on a route wait until :meth:`release`."""
        self._held.add(route)

    def release(self) -> None:
        """Answer what waits."""
        with self._changed:
            self._held.clear()
            self._changed.notify_all()

    def count(self, route: str) -> int:
        """Return how many requests came in on a route."""
        return sum(sent.route == route for sent in self.sent)

    def eventually(self, condition: Callable[[], bool]) -> bool:
        """Wait until something is so; False where it is not so after ten seconds."""
        with self._changed:
            return self._changed.wait_for(condition, 10)

    def stop(self) -> None:
        self.release()
        self._server.shutdown()
        self._server.server_close()

    def took(self, sent: Sent) -> Fault | None:
        """Write a request down, wait while its route is held, and return what it meets."""
        with self._changed:
            self.sent.append(sent)
            self._changed.notify_all()
            self._changed.wait_for(lambda: sent.route not in self._held)
            faults = self._faults.get(sent.route)
            return faults.popleft() if faults else None

    def answer(self, sent: Sent, identity: str) -> tuple[int, dict[str, Any]]:
        """Return status and body for a request that meets no fault."""
        with self._changed:
            try:
                if sent.headers.get("authorization") != KEY:
                    return 401, {"error": "Authentication error, API token missing/invalid"}
                if sent.route == UPLOAD:
                    self.uploads.append(sent.body)
                    return 200, {"upload_url": f"{self.url}/upload/{len(self.uploads)}"}
                if sent.route == ORDER:
                    return self._ordered(json.loads(sent.body))
                if identity not in self.orders or identity in self.deleted:
                    return 400, {"error": "Transcript lookup error, transcript id not found"}
                if sent.route == DELETE:
                    self.deleted.append(identity)
                    return 200, {"id": identity, "status": "completed", "text": "Deleted by user."}
                return 200, self._transcript(identity)
            finally:
                self._changed.notify_all()

    def _ordered(self, order: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if reason := self._reason_to_refuse(order):
            return 400, {"error": reason}
        identity = f"transcript-{len(self.orders) + 1}"
        self.orders[identity] = order
        return 200, order | {"id": identity, "status": "queued"}

    def _reason_to_refuse(self, order: dict[str, Any]) -> str | None:
        known = [f"{self.url}/upload/{number + 1}" for number in range(len(self.uploads))]
        speakers = {"speakers_expected", "speaker_options"} & set(order)
        policies = set(order.get("redact_pii_policies", ()))
        reasons = {
            "audio_url: this is not a valid URL": order.get("audio_url") not in known,
            "language_code: the language is not supported": (
                order.get("language_code", "en") not in LANGUAGES
            ),
            "language_code: not together with language_detection": (
                "language_code" in order and "language_detection" in order
            ),
            "speaker_labels must be enabled": speakers and not order.get("speaker_labels"),
            "speakers_expected: not together with speaker_options": len(speakers) > 1,
            "redact_pii_policies: invalid value": not policies <= POLICIES,
            "redact_pii_policies: must not be empty": order.get("redact_pii") and not policies,
        }
        return next((reason for reason, holds in reasons.items() if holds), None)

    def _transcript(self, identity: str) -> dict[str, Any]:
        order = self.orders[identity]
        look = self._looks.get(identity, 0)
        self._looks[identity] = look + 1
        status = self.statuses[min(look, len(self.statuses) - 1)]
        answer = order | {"id": identity, "status": status, "text": None, "words": None}
        detected = bool(order.get("language_detection"))
        error = self.error
        if detected and not self.spoken:
            error = "language_detection cannot be performed on files with no spoken audio."
        if status != "completed":
            return answer
        if error:
            return answer | {"status": "error", "error": error}
        words = [word.written(order) for word in self.spoken]
        raw = [word.written({**order, "redact_pii": False}) for word in self.spoken]
        return answer | {
            "text": " ".join(word["text"] for word in words),
            "words": raw if self.leaks else words,
            "unredacted_words": raw if order.get("redact_pii_return_unredacted") else None,
            "language_code": self.language if detected else order.get("language_code", "en_us"),
            "language_confidence": 0.9942 if detected else None,
            "speech_model_used": "universal-2",
            "audio_duration": 11,
        }


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


class _Handler(BaseHTTPRequestHandler):
    service: AssemblyAIServer
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    """Head and body leave together: two packets would wait for an acknowledgement each time."""

    def do_POST(self) -> None:
        self._serve()

    def do_GET(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            version, resource, identity, *_ = (*urlsplit(self.path).path[1:].split("/"), "", "")
            if version != "v2" or resource not in ("upload", "transcript"):
                self._send(404, b'{"error": "Not found"}', {})
                return
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            sent = Sent(f"{self.command} {resource}", headers, body, time.monotonic())
            fault = self.service.took(sent)
            if fault is not None and fault.drop:
                self.close_connection = True
            elif fault is not None:
                self._send(fault.status, fault.body, fault.headers)
            else:
                status, answer = self.service.answer(sent, identity)
                self._send(status, json.dumps(answer).encode(), {})

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def assemblyai_server() -> Iterator[AssemblyAIServer]:
    server = AssemblyAIServer()
    yield server
    server.stop()
