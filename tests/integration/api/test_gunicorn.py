"""The API behind gunicorn, as its image runs it."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests
from api_process import answer, connect
from gunicorn.errors import AppImportError
from receiver import until

from app.api import gunicorn as configuration
from app.auth import Scope, Tokens
from app.settings import Settings
from app.settings.sections import AuthSettings

COMMAND = [sys.executable, "-m", "gunicorn", "-c", "python:app.api.gunicorn"]
THREADS = 8
SECRET = "a secret of at least thirty-two characters"
WITH_CHANGES = """
import os, signal, socket, struct, sys
from app.api import gunicorn as configuration, gunicorn_parts
{changes}
from gunicorn.app.wsgiapp import run
sys.argv = ["gunicorn", "-c", "python:app.api.gunicorn"]
run()
"""
SILENT = """
gunicorn_parts._TIMEVAL = struct.pack("ll", 1, 0)
enqueue = gunicorn_parts.Worker.enqueue_req
def unbuffered(worker, conn):
    conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    enqueue(worker, conn)
gunicorn_parts.Worker.enqueue_req = unbuffered
"""
STOPPED_EARLY = """
create = configuration.create
def stopped():
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getppid(), signal.SIGTERM)
    return create()
configuration.create = stopped
"""
FAILING = """
def fail(server):
    sys.exit(os.environ["PROMETHEUS_MULTIPROC_DIR"])
configuration.when_ready = fail
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
    changes: str | None = None,
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
    changed = [sys.executable, "-c", WITH_CHANGES.format(changes=changes)]
    server = Gunicorn(environment, directory, changed if changes else COMMAND)
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
    assert health(address) == (0, "api: answers\n")
    url = f"{address}/jobs/{reply.json()['id']}/events"
    with requests.get(url, stream=True, timeout=20) as stream:
        lines = stream.iter_lines(chunk_size=1, decode_unicode=True)
        assert "event: progress" in [next(lines) for _ in range(3)]
        counters = server.counters()
        server.child.send_signal(signal.SIGTERM)
        assert not [line for line in lines if line.startswith("event")]
    server.stop()
    assert "Worker exiting" in server.text
    assert "SIGKILL" not in server.text, "it waited for the job"
    assert health(address)[0] == 1
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
    until(there_is_room, 15)


def test_clients_that_fall_silent_or_take_nothing_are_let_go(database, redis_url, tmp_path):
    """Together: gunicorn by itself would part from one after another, two seconds from each."""
    threads = {"EMOTION_CLF_API__THREADS": str(THREADS)}
    with gunicorn(database, redis_url, tmp_path, SILENT, **threads) as server:
        address = server.address
        whole = len(requests.get(f"{address}/openapi.json", timeout=20).content)
        head = b"POST /jobs HTTP/1.1\r\nHost: localhost\r\nContent-Le"
        body = head + b"ngth: 20\r\nContent-Type: application/json\r\n\r\n{"
        silent = [connect(address) for _ in range(THREADS)]
        for connection, sent in zip(silent, itertools.cycle((head, body)), strict=False):
            connection.sendall(sent)
        # They hold all of its threads, for a second.
        assert requests.get(f"{address}/health", timeout=15).ok
        assert requests.get(f"{address}/health", timeout=10).ok, "it parts from one after another"
        for connection in silent:
            with connection:
                said = connection.recv(1000).partition(b"\r\n")[0]
                assert said in (b"", b"HTTP/1.1 400 BAD REQUEST")
        deaf = [connect(address, receives=1) for _ in range(THREADS)]
        for connection in deaf:
            connection.sendall(b"GET /openapi.json HTTP/1.0\r\nHost: localhost\r\n\r\n")
        assert requests.get(f"{address}/health", timeout=15).ok
        assert min(sum(map(len, answer(connection))) for connection in deaf) < whole
    assert '"level": "error"' not in server.text, "which would be one for each of them"


def test_told_to_stop_while_it_starts_it_stops(database, redis_url, tmp_path):
    with gunicorn(database, redis_url, tmp_path, STOPPED_EARLY) as server:
        assert server.child.wait(30) == 0
    assert "Worker exiting" in server.text
    assert "AttributeError" not in server.text


def test_what_its_processes_share_goes_however_it_ends(database, redis_url, tmp_path):
    with gunicorn(database, redis_url, tmp_path, FAILING) as server:
        assert server.child.wait(30) == 1
    shared = Path(server.text.splitlines()[-1])
    assert shared.name.startswith("emotion-clf-api-")
    assert not shared.exists()


def test_two_processes_count_together(database, redis_url, tmp_path):
    settings = {"WEB_CONCURRENCY": "2", "EMOTION_CLF_AUTH__SECRET": SECRET}
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

        with ThreadPoolExecutor(6) as pool:
            assert set(pool.map(submit, range(6))) == {202}
        assert counted(address, headers) == 6
        os.kill(server.processes()[0], signal.SIGKILL)
        until(lambda: server.text.count("Booting worker") == 3, 20)
        assert counted(address, headers) == 6, "what the dead one counted is not lost"
        assert in_flight(address, headers) == 1
        text = requests.get(f"{address}/metrics", headers=headers, timeout=20).text
        assert "emotion_clf_database_up 1.0" in text.splitlines(), "asked for once, not summed up"


def metric(address: str, start: str, headers: dict[str, str] | None = None) -> float:
    """Return the sum of what the service says in the lines that start so."""
    text = requests.get(f"{address}/metrics", headers=headers, timeout=20).text
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(start))


def counted(address: str, headers: dict[str, str]) -> float:
    """Return how many submissions the service says that it has answered."""
    name = "emotion_clf_http_request_duration_seconds_count"
    return metric(address, f'{name}{{method="POST",route="/jobs"', headers)


def in_flight(address: str, headers: dict[str, str] | None = None) -> float:
    """Return how many requests are being answered, this one among them."""
    return metric(address, "emotion_clf_http_requests_in_flight", headers)


def run(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def health(address: str) -> tuple[int, str]:
    """Return what the health command says inside a container, where it listens for everybody."""
    port = address.rpartition(":")[2]
    environment = os.environ | {"EMOTION_CLF_API__PORT": port, "EMOTION_CLF_API__HOST": "0.0.0.0"}
    ended = run([sys.executable, "-m", "workers.health", "api"], environment)
    return ended.returncode, ended.stdout


@pytest.mark.parametrize(
    ("arguments", "settings", "said"),
    [
        (["-b", "0.0.0.0:0"], {}, "api.host is '0.0.0.0' without auth.secret"),
        ([], {"ARTIFACT_URL": "nosuch://x"}, "nothing that reads nosuch://"),
        ([], {"EMOTION_CLF_API__PROT": "1"}, "api.prot"),
    ],
)
def test_it_does_not_start_open_or_on_settings_that_are_wrong(arguments, settings, said):
    environment = os.environ | {"EMOTION_CLF_API__PORT": "0", **settings}
    ended = run([*COMMAND, *arguments], environment)
    assert ended.returncode == 78
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("settings", "address", "said"),
    [
        ({}, "0.0.0.0", "api.host is '0.0.0.0' without auth.secret"),
        ({"api": {"trusted_proxies": 1}}, "127.0.0.1", "api.trusted_proxies is 1 without"),
        ({"auth": {"jwks": "/nowhere", "algorithm": "ES256"}}, "127.0.0.1", "auth.jwks"),
    ],
)
def test_nor_on_what_only_the_application_finds_wrong(settings, address, said, monkeypatch, capsys):
    monkeypatch.setattr(configuration, "_settings", Settings.load(**settings))
    server = SimpleNamespace(cfg=SimpleNamespace(address=[(address, 0)]))
    with pytest.raises(SystemExit, match="78"):
        configuration.on_starting(server)
    assert said in capsys.readouterr().err


def test_a_process_that_finds_more_ends_them_all(monkeypatch):
    """By the one exception for which gunicorn does not start another."""
    settings = Settings.load(api={"trusted_proxies": 1})
    monkeypatch.setattr(configuration, "_settings", settings)
    with pytest.raises(AppImportError, match="trusted_proxies"):
        configuration.create()
