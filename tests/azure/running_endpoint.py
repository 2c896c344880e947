"""The scoring script behind the server that Azure ML runs, beside the predictor's own answers.

``make test-azure`` runs this; the name keeps it out of ``make test``.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from emotion_clf import EmotionPredictor

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "azure" / "endpoint"
SERVER = ROOT / ".venv-azure" / "endpoint" / "bin" / "azmlinfsrv"
MARKER = "zebrafish"
TEXTS = ["We won! Thank you all so much.", "But I am worried about tomorrow."]


class Endpoint:
    """A running server: its addresses and its log."""

    def __init__(self, port: int, log: Path) -> None:
        self.address = f"http://127.0.0.1:{port}"
        self.log = log

    def score(self, body: object, **options: Any) -> Any:
        return requests.post(f"{self.address}/score", json=body, timeout=60, **options)

    def send(self, body: Any, kind: str = "application/json") -> Any:
        headers = {"Content-Type": kind}
        return requests.post(f"{self.address}/score", data=body, headers=headers, timeout=60)


@contextmanager
def _serve(folder: Path, **variables: str) -> Iterator[Endpoint]:
    """Start the server as the image does: its own environment, and two files in a folder."""
    for name in ("score.py", "payload.py"):
        shutil.copy(FOLDER / name, folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder / "log.txt"
    own = {"PATH": f"{SERVER.parent}:{os.environ['PATH']}", "AML_APP_ROOT": str(folder)}
    command = [str(SERVER), "--entry_script", "score.py", "--port", str(port)]
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=own | {"HF_HUB_OFFLINE": "1"} | variables,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
    try:
        endpoint = Endpoint(port, log)
        _wait(endpoint, process)
        yield endpoint
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _wait(endpoint: Endpoint, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 90
    while time.monotonic() < until and process.poll() is None:
        try:
            if requests.get(endpoint.address, timeout=5).ok:
                return
        except requests.RequestException:
            time.sleep(0.2)
    pytest.fail(endpoint.log.read_text()[-2000:])


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with _serve(tmp_path_factory.mktemp("endpoint"), WORKER_COUNT="2") as found:
        yield found


@pytest.fixture(scope="module")
def predictor() -> Any:
    return EmotionPredictor()


def _same(answer: Any, wanted: Any) -> None:
    assert answer.status_code == 200, answer.text
    plain = json.loads(json.dumps([prediction.to_dict() for prediction in wanted]))
    for found, own in zip(answer.json()["predictions"], plain, strict=True):
        assert found.keys() == own.keys()
        for key, value in own.items():
            close = isinstance(value, float | dict)
            assert found[key] == (pytest.approx(value, abs=2e-3) if close else value)


def test_it_is_healthy(endpoint: Endpoint) -> None:
    assert requests.get(endpoint.address, timeout=5).text == "Healthy"


def test_the_sample_request_is_answered_as_the_predictor_does(
    endpoint: Endpoint, predictor: Any
) -> None:
    sample = json.loads((FOLDER / "sample-request.json").read_text())
    _same(endpoint.score(sample), predictor.predict(TEXTS, in_order=True))


@pytest.mark.parametrize(
    "body",
    [
        {"texts": TEXTS},
        {"input_data": TEXTS},
        {"input_data": [[text] for text in TEXTS]},
        {"input_data": [{"text": text} for text in TEXTS]},
        {"input_data": {"data": [[text] for text in TEXTS]}},
        {"input_data": {"columns": ["sentence"], "data": [[text] for text in TEXTS]}},
        {"input_data": {"columns": ["id", "text"], "data": [[1, TEXTS[0]], [2, TEXTS[1]]]}},
    ],
)
def test_every_shape_means_the_same(endpoint: Endpoint, predictor: Any, body: object) -> None:
    _same(endpoint.score(body), predictor.predict(TEXTS))


def test_other_languages_are_refused_or_marked(endpoint: Endpoint) -> None:
    german = ["Ich habe gestern den ganzen Tag im Garten gearbeitet und bin sehr müde."]
    refused = endpoint.score({"texts": german})
    assert (refused.status_code, refused.json()["code"]) == (422, "language.unsupported")
    marked = endpoint.score({"texts": german, "params": {"other_languages": "mark"}})
    assert marked.json()["predictions"][0]["low_confidence"] is True


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        (MARKER.encode(), "application/json", 400, "request.malformed"),
        (b'["zebrafish"]', "application/json", 400, "request.malformed"),
        (b"[" * 100_000, "application/json", 400, "request.malformed"),
        (b'{"texts": "\xff"}', "application/json", 400, "request.malformed"),
        (b'{"text": ["zebrafish"]}', "application/json", 422, "request.invalid"),
        (b'{"texts": "zebrafish"}', "application/json", 422, "request.invalid"),
        (b'{"texts": []}', "application/json", 422, "request.invalid"),
        (b'{"texts": ["zebrafish", 3]}', "application/json", 422, "request.invalid"),
        (b'{"texts": ["zebrafish", " "]}', "application/json", 422, "text.empty"),
        (b'{"texts": ["zebrafish"]}', "text/plain", 415, "request.unsupported_media_type"),
        (b" " * (1024 * 1024 + 1), "application/json", 413, "request.too_large"),
        (iter([b"zebrafish"] * 200_000), "application/json", 413, "request.too_large"),
    ],
)
def test_what_is_wrong_is_said(
    endpoint: Endpoint, body: Any, kind: str, status: int, code: str
) -> None:
    answer = endpoint.send(body, kind)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["message"]
    assert MARKER not in answer.text


def test_it_answers_posts_alone(endpoint: Endpoint) -> None:
    assert requests.get(f"{endpoint.address}/score", timeout=5).status_code == 405


def test_requests_at_the_same_time_do_not_mix(endpoint: Endpoint) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda n: endpoint.score({"texts": [f"I am {n}."]}), range(20)))
    assert [a.json()["predictions"][0]["text"] for a in answers] == [
        f"I am {n}." for n in range(20)
    ]


def test_the_log_holds_no_text_and_one_loading_a_process(endpoint: Endpoint) -> None:
    assert endpoint.score({"texts": [f"I love my {MARKER}."]}).status_code == 200
    log = endpoint.log.read_text()
    assert "POST /score 200" in log
    assert MARKER not in log
    assert log.count("Invoking user's init function") == 2


def test_what_nobody_waits_for_is_ended(tmp_path: Path) -> None:
    long = {"texts": [f"I am number {n}, and so tired. " * 20 for n in range(1000)]}
    with _serve(tmp_path, SCORING_TIMEOUT_MS="2000") as hurried:
        answer = hurried.score(long)
        assert (answer.status_code, "timeout" in answer.text) == (500, True)
        # The feature engine, which works beside the encoder, may have to come to its end first.
        until = time.monotonic() + 60
        while hurried.score({"texts": ["Well done!"]}).status_code != 200:
            assert time.monotonic() < until
