"""The local service as a user runs it: started, used, stopped, started again."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from emotion_clf.client import Client
from emotion_clf.local.processes import Child
from emotion_clf.local.service import Addresses, LocalService

pytestmark = pytest.mark.acceptance


def processes_of(directory: Path) -> dict[int, str]:
    """Return the processes that know the directory, with their command lines.

    Redis writes its title over command line and environment, but works in the directory.
    """
    needle = str(directory).encode()
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            known = [
                command,
                (process / "environ").read_bytes(),
                bytes((process / "cwd").readlink()),
            ]
        except OSError:
            continue
        if command and any(needle in each for each in known):
            found[int(process.name)] = command.replace(b"\0", b" ").decode(errors="replace")
    return found


@contextmanager
def serving(directory: Path, stop: signal.Signals) -> Iterator[str]:
    """Run ``emotion-clf serve``; yield the address of its API; stop it with a signal."""
    command = [sys.executable, "-m", "emotion_clf", "serve", "--data", str(directory)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        said = ""
        while "Ready." not in said:
            line = process.stdout.readline()
            assert line, f"the service ended: {said}"
            said += line
        address = re.search(r"API and page +(\S+)", said)
        assert address
        yield address.group(1)
    finally:
        process.send_signal(stop)
        code = process.wait(60)
    assert code == 0


def test_a_job_runs_and_survives_a_restart_and_nothing_is_left(tmp_path: Path, jfk: Path) -> None:
    directory = tmp_path / "service"
    with serving(directory, signal.SIGTERM) as api:
        client = Client(api)
        job = client.submit_file(jfk)
        seen: list[float] = []
        analysis = client.wait(job, lambda stage, fraction, detail: seen.append(fraction))
        assert "country" in " ".join(segment.text for segment in analysis.segments)
        assert seen == sorted(seen)
        assert seen[-1] == 1.0
    wait_until_gone(directory)

    with serving(directory, signal.SIGINT) as api:
        assert Client(api).result(job) == analysis
        second = [sys.executable, "-m", "emotion_clf", "serve", "--data", str(directory)]
        refused = subprocess.run(second, capture_output=True, text=True, check=False)
        assert refused.returncode == 69
        assert "Another emotion-clf service" in refused.stderr
        for program in ("app.api", "redis-server", "bin/postgres"):
            kill_and_see_it_again(api, directory, program)
        assert Client(api).result(job) == analysis
    wait_until_gone(directory)


def kill_and_see_it_again(api: str, directory: Path, program: str) -> None:
    """Kill a process of the service; it is started again, and the service gets ready."""
    (killed,) = pids(directory, program)
    os.kill(killed, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if pids(directory, program) not in ([], [killed]) and Client(api).ready():
            return
        time.sleep(0.2)
    raise AssertionError(f"{program} did not come back")


def pids(directory: Path, program: str) -> list[int]:
    """Return the processes of the service that run a program."""
    return [pid for pid, command in processes_of(directory).items() if program in command]


def wait_until_gone(directory: Path) -> None:
    deadline = time.monotonic() + 10
    while (left := processes_of(directory)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left


def start(directory: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "emotion_clf", "serve", "--data", str(directory), *options]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
    )


def read_until(process: subprocess.Popen[str], words: str) -> None:
    assert process.stdout
    said = ""
    while words not in said:
        line = process.stdout.readline()
        assert line, f"the service ended: {said}"
        said += line


def test_a_signal_stops_a_start_and_a_second_does_not_stop_the_stopping(tmp_path: Path) -> None:
    directory = tmp_path / "service"
    with start(directory) as process:
        deadline = time.monotonic() + 30
        while not (directory / "postgres" / "unfinished").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.terminate()
        assert process.wait(60) == 143
    wait_until_gone(directory)

    with start(directory) as process:
        read_until(process, "Ready.")
        process.send_signal(signal.SIGINT)
        read_until(process, "Stopping")
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    wait_until_gone(directory)


def test_somebody_elses_port_is_refused_at_once(tmp_path: Path) -> None:
    class Stranger(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

    with HTTPServer(("127.0.0.1", 0), Stranger) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_port
        with start(tmp_path, "--port", str(port)) as process:
            said, _ = process.communicate(timeout=60)
        server.shutdown()
    assert process.returncode == 69
    assert f"Port {port} is in use. Choose another with --port." in said
    assert "Ready" not in said
    wait_until_gone(tmp_path)


def test_an_answer_counts_only_while_the_api_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Client, "ready", lambda self: True)
    service = LocalService(tmp_path)
    service._addresses = Addresses("http://127.0.0.1:1", "", "")
    api = Child("api", [sys.executable, "-c", "input()"], log=tmp_path / "log")
    assert not service._ready(api)
