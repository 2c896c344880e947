"""The API as a process of its own, behind waitress."""

from __future__ import annotations

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager

import pytest
import requests
import sqlalchemy as sa
from api_process import exchange, started

from app.settings.sections import ApiSettings

HEAVY = ("torch", "transformers", "ctranslate2", "faster_whisper", "onnxruntime", "spacy", "numpy")
STARTER = """
import json, sys
from app.api.__main__ import main
try:
    main()
except SystemExit:
    pass
print(json.dumps([name for name in {heavy!r} if name in sys.modules]))
"""


@pytest.fixture(scope="module")
def address(migrated_url, redis_url, tmp_path_factory):
    """The address of one API for all tests that do not stop it."""
    with started(migrated_url, redis_url, tmp_path_factory.mktemp("api")) as (_, address):
        yield address


def test_it_serves_without_any_model_and_stops_when_told(database, redis_url, tmp_path):
    command = ("-c", STARTER.format(heavy=HEAVY))
    with started(database, redis_url, tmp_path, command=command) as (child, address):
        _use(address)
        child.send_signal(signal.SIGTERM)
        output, _ = child.communicate(timeout=15)
    assert json.loads(output) == []
    log = (tmp_path / "api.log").read_text()
    assert '"service": "api"' in log.splitlines()[-1]
    assert '"event": "no_authentication"' in log


def _use(address):
    job = requests.post(f"{address}/jobs", json={"text": "I love it."}, timeout=10)
    assert job.status_code == 202
    upload = requests.post(f"{address}/jobs", files={"file": ("a.wav", b"RIFF")}, timeout=10)
    assert upload.status_code == 202
    for path in ("/jobs", "/openapi.json", "/docs", "/metrics", "/health/ready"):
        assert requests.get(address + path, timeout=10).status_code in (200, 503)


def test_a_chunked_upload_without_a_length_is_counted(address):

    def body(size):
        yield b'--cut\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for _ in range(size // 10_000):
            yield b"x" * 10_000
        yield b"\r\n--cut--\r\n"

    headers = {"Content-Type": "multipart/form-data; boundary=cut"}
    small = requests.post(f"{address}/jobs", data=body(500_000), headers=headers, timeout=10)
    assert small.status_code == 202
    large = requests.post(f"{address}/jobs", data=body(1_010_000), headers=headers, timeout=10)
    assert (large.status_code, large.json()["code"]) == (413, "source.too_large")


@pytest.mark.parametrize(
    ("name", "request_bytes", "status", "code"),
    [
        ("no HTTP", b"hello\r\n\r\n", 400, "request.malformed"),
        ("bad length", b"POST /jobs HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400, None),
        (
            "an unknown encoding",
            b"POST /jobs HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
            501,
            "request.malformed",
        ),
        ("long headers", b"GET / HTTP/1.1\r\nX: " + b"x" * 32_749, 431, None),
        (
            "a length beyond every limit",
            b"POST /jobs HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\nx",
            413,
            "request.too_large",
        ),
    ],
)
def test_what_never_reaches_the_application_is_a_problem_too(
    address, name, request_bytes, status, code
):
    head, body = exchange(address, request_bytes)
    assert head.split()[1] == str(status).encode()
    assert b"application/problem+json" in head
    problem = json.loads(body)
    assert problem["status"] == status
    assert code in (None, problem["code"])


@contextmanager
def refusing_jobs(database: str):
    """A database in which no job can be written."""
    engine = sa.create_engine(database)
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE jobs ADD CONSTRAINT none CHECK (title = '')"))
    try:
        yield
    finally:
        with engine.begin() as connection:
            connection.execute(sa.text("ALTER TABLE jobs DROP CONSTRAINT none"))
        engine.dispose()


def test_a_database_error_shows_the_log_no_text(database, redis_url, tmp_path):
    with started(database, redis_url, tmp_path) as (_, address), refusing_jobs(database):
        body = {"text": "A whispered sentence."}
        reply = requests.post(f"{address}/jobs", json=body, timeout=10)
    assert (reply.status_code, reply.json()["code"]) == (500, "internal")
    log = (tmp_path / "api.log").read_text()
    assert "CheckViolation" in log
    assert "whispered" not in log


def test_waiting_requests_leave_threads_for_others(address):
    with ThreadPoolExecutor(32) as pool:
        waiting = [
            pool.submit(
                requests.post,
                f"{address}/predict",
                json={"text": "Hm."},
                headers={"Prefer": "wait=5"},
                timeout=60,
            )
            for _ in range(32)
        ]
        surplus = len(waiting) - ApiSettings().threads // 2
        done = as_completed(waiting, timeout=30)
        refused = [next(done).result() for _ in range(surplus)]
        # The others wait still, and hold no thread that this one needs.
        assert requests.get(f"{address}/jobs", timeout=10).status_code == 200
        assert not all(reply.done() for reply in waiting)
        granted = {reply.headers["Preference-Applied"] for reply in refused}
        assert granted == {"wait=0"}
        assert {reply.result().status_code for reply in waiting} == {202}


def test_of_a_dead_process_nothing_is_being_answered(client, tmp_path, monkeypatch):
    """Where several share a directory without gunicorn, which would tell that it is dead."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    living = tmp_path / f"gauge_livesum_{os.getpid()}.db"
    dead = tmp_path / "gauge_livesum_4194305.db"  # more than Linux has
    for file in (living, dead):
        file.write_bytes(bytes(8))  # as prometheus-client begins one
    assert client.get("/metrics").status_code == 200
    assert (living.exists(), dead.exists()) == (True, False)
