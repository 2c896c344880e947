"""The local service as a user runs it: started, used, stopped, started again."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from emotion_clf.client import Client

pytestmark = pytest.mark.acceptance


def processes_of(directory: Path) -> list[str]:
    """Return the command lines of the processes that know the directory."""
    needle = str(directory).encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes()
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if command and (needle in environment or needle in command):
            found.append(command.replace(b"\0", b" ").decode(errors="replace"))
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
        kill_and_see_it_again(api, directory)
    wait_until_gone(directory)


def kill_and_see_it_again(api: str, directory: Path) -> None:
    """Kill the API; the supervisor starts it again on the same port."""
    (pid,) = [
        int(process.name)
        for process in Path("/proc").glob("[0-9]*")
        if is_api(process) and str(directory).encode() in (process / "environ").read_bytes()
    ]
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if requests.get(f"{api}/health", timeout=2).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.1)
    raise AssertionError("the API did not come back")


def is_api(process: Path) -> bool:
    try:
        return b"app.api" in (process / "cmdline").read_bytes()
    except OSError:
        return False


def wait_until_gone(directory: Path) -> None:
    deadline = time.monotonic() + 10
    while (left := processes_of(directory)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == []
