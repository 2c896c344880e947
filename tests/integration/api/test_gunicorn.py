"""The API behind gunicorn, as its image runs it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import requests
from api_process import connect
from receiver import until

from app.auth import Scope, Tokens
from app.settings.sections import AuthSettings

COMMAND = [sys.executable, "-m", "gunicorn", "-c", "python:app.api.gunicorn"]
SECRET = "a secret of at least thirty-two characters"
RATE = 60
SILENT = """
import struct, sys
from app.api import gunicorn_parts
gunicorn_parts._TIMEVAL = struct.pack("ll", 1, 0)
from gunicorn.app.wsgiapp import run
sys.argv = ["gunicorn", "-c", "python:app.api.gunicorn"]
run()
"""


class Gunicorn:
    """A running gunicorn, its log and its address."""

    def __init__(self, environment: dict[str, str], directory: Path, command: list[str]) -> None:
        self.log = directory / "gunicorn.log"
        with self.log.open("w") as sink:
            self.child = subprocess.Popen(
                command, env=environment, stdout=subprocess.DEVNULL, stderr=sink
            )

    @property
    def address(self) -> str:
        until(lambda: self.child.poll() is not None or '"event": "listening"' in self.text, 60)
        found = re.search(r'"port": (\d+)', self.text)
        assert found, self.text
        return f"http://127.0.0.1:{found[1]}"

    @property
    def text(self) -> str:
        return self.log.read_text()

    def processes(self) -> list[int]:
        pid = self.child.pid
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def counters(self) -> list[Path]:
        """Return the files that its processes count in."""
        maps = "".join(Path(f"/proc/{each}/maps").read_text() for each in self.processes())
        return [Path(path) for path in re.findall(r"/\S+emotion-clf-api-\S+\.db", maps)]

    def stop(self) -> None:
        """Stop it as Docker does, which then waits for ten seconds."""
        self.child.send_signal(signal.SIGTERM)
        assert self.child.wait(20) == 0, self.text


@contextmanager
def gunicorn(
    database: str,
    redis_url: str,
    directory: Path,
    command: list[str] = COMMAND,
    **settings: str,
) -> Iterator[Gunicorn]:
    environment = os.environ | {
        "DATABASE_URL": database,
        "REDIS_URL": redis_url,
        "ARTIFACT_URL": f"file://{directory}/artifacts",
        "EMOTION_CLF_API__PORT": "0",
        "EMOTION_CLF_API__THREADS": "4",
        **settings,
    }
    server = Gunicorn(environment, directory, command)
    try:
        yield server
    finally:
        server.child.terminate()
        try:
            server.child.wait(15)
        finally:
            server.child.kill()


@pytest.fixture
def server(database, redis_url, tmp_path):
    with gunicorn(database, redis_url, tmp_path) as server:
        yield server


def test_it_takes_jobs_streams_events_and_ends_at_once(server):
    address = server.address
    reply = requests.post(f"{address}/jobs", json={"text": "I love it."}, timeout=20)
    assert reply.status_code == 202
    assert reply.headers["Location"].startswith(("/jobs/", f"{address}/jobs/"))
    upload = requests.post(f"{address}/jobs", files={"file": ("a.wav", b"RIFF")}, timeout=10)
    assert upload.status_code == 202
    url = f"{address}/jobs/{reply.json()['id']}/events"
    with requests.get(url, stream=True, timeout=20) as stream:
        lines = stream.iter_lines(chunk_size=1, decode_unicode=True)
        assert "event: progress" in [next(lines) for _ in range(3)]
        counters = server.counters()
        server.child.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert not [line for line in lines if line.startswith("event")]
        assert time.monotonic() - began < 5, "it waited for the job"
    server.stop()
    assert "Worker exiting" in server.text, "it was killed"
    assert counters
    assert not any(path.parent.exists() for path in counters)
    for line in server.text.splitlines():
        assert line.startswith("{"), "every line is the service's own"
        assert '"service": "api"' in line


def test_a_client_that_hangs_up_frees_its_thread(server):
    address = server.address
    job = requests.post(f"{address}/jobs", json={"text": "Hm."}, timeout=20).json()["id"]

    def granted(held: ExitStack) -> bool:
        url = f"{address}/jobs/{job}/events"
        stream = held.enter_context(requests.get(url, stream=True, timeout=20))
        lines = stream.iter_lines(chunk_size=1, decode_unicode=True)
        held.push(lambda *_: lines.close())  # else it ends when nobody refers to it
        return next(lines) == "retry: 1000"

    def there_is_room() -> bool:
        with ExitStack() as held:
            return granted(held)

    with ExitStack() as held:
        assert granted(held)
        assert granted(held)
        assert not there_is_room()
    until(there_is_room, 8)


def test_a_client_that_falls_silent_is_let_go(database, redis_url, tmp_path):
    command = [sys.executable, "-c", SILENT]
    with gunicorn(database, redis_url, tmp_path, command) as server:
        address = server.address
        assert requests.get(f"{address}/health", timeout=20).ok
        slow = [connect(address) for _ in range(4)]
        for connection in slow:
            connection.sendall(b"POST /jobs HTTP/1.1\r\nHost: localhost\r\nContent-Le")
        # They hold all of its threads, for a second.
        assert requests.get(f"{address}/health", timeout=15).ok
        for connection in slow:
            connection.settimeout(10)
            with connection:
                assert connection.recv(1000).partition(b"\r\n")[0] in (b"", b"HTTP/1.1 408")


def test_two_processes_hold_one_limit_and_count_together(database, redis_url, tmp_path):
    settings = {
        "WEB_CONCURRENCY": "2",
        "EMOTION_CLF_AUTH__SECRET": SECRET,
        "EMOTION_CLF_LIMITS__CREATIONS_A_MINUTE": str(RATE),
        "EMOTION_CLF_LIMITS__BURST_SECONDS": "20",
    }
    token = Tokens(AuthSettings(secret=SECRET)).issue(
        "somebody", [Scope.JOBS_WRITE, Scope.METRICS_READ], timedelta(hours=1)
    )
    headers = {"Authorization": f"Bearer {token}"}
    with gunicorn(database, redis_url, tmp_path, **settings) as server:
        address = server.address
        until(lambda: len(server.processes()) == 2, 20)

        def submit(_: int) -> int:
            body = {"text": "Hello."}
            reply = requests.post(f"{address}/jobs", json=body, headers=headers, timeout=30)
            return reply.status_code

        began = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            statuses = list(pool.map(submit, range(60)))
        most = 20 + (time.monotonic() - began) * RATE / 60
        assert set(statuses) == {202, 429}
        assert 20 <= statuses.count(202) <= most

        assert counted(address, headers) == 60
        os.kill(server.processes()[0], signal.SIGKILL)
        until(lambda: server.text.count("Booting worker") == 3, 20)
        assert counted(address, headers) == 60, "what the dead one counted is not lost"
        in_flight = "emotion_clf_http_requests_in_flight 1.0"
        assert in_flight in requests.get(f"{address}/metrics", headers=headers, timeout=20).text


def counted(address: str, headers: dict[str, str]) -> float:
    """Return how many submissions the service says that it has answered."""
    text = requests.get(f"{address}/metrics", headers=headers, timeout=20).text
    name = 'emotion_clf_http_request_duration_seconds_count{method="POST",route="/jobs"'
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))


def run(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "settings", "said"),
    [
        ([], {"EMOTION_CLF_API__HOST": "0.0.0.0"}, "api.host is '0.0.0.0' without auth.secret"),
        (["-b", "0.0.0.0:0"], {}, "api.host is '0.0.0.0' without auth.secret"),
        ([], {"EMOTION_CLF_API__TRUSTED_PROXIES": "1"}, "api.trusted_proxies is 1 without"),
        ([], {"EMOTION_CLF_API__PROT": "1"}, "api.prot"),
    ],
)
def test_it_does_not_start_open_or_on_settings_that_are_wrong(arguments, settings, said):
    environment = os.environ | {"EMOTION_CLF_API__PORT": "0", **settings}
    ended = run([*COMMAND, *arguments], environment)
    assert ended.returncode == 78
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_health_command_asks_it(server):
    port = server.address.rpartition(":")[2]
    environment = os.environ | {"EMOTION_CLF_API__PORT": port, "EMOTION_CLF_API__HOST": "0.0.0.0"}
    command = [sys.executable, "-m", "workers.health", "api"]
    well = run(command, environment)
    assert (well.returncode, well.stdout) == (0, "api: answers\n")
    server.stop()
    ill = run(command, environment)
    assert ill.returncode == 1
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", int(port)))
