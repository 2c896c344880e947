from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from emotion_clf.local.processes import Child, Supervisor, wait_until
from ml.errors import ServiceError

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)",
]


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_a_child_that_ends_is_started_again(tmp_path: Path) -> None:
    supervisor = Supervisor()
    supervisor.first_pause = 0.05
    child = Child("sleep", SLEEP, log=tmp_path / "log")
    supervisor.add(child)
    first = child.pid
    assert first
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: not alive(first), 5, "the kill")
    ended: list[str] = []

    def again() -> bool:
        ended.extend(supervisor.tend())
        return child.running and child.pid != first

    wait_until(again, 5, "the restart")
    assert ended == ["sleep"]
    supervisor.stop()
    assert not child.running


def test_a_child_that_ignores_the_signal_is_killed(tmp_path: Path) -> None:
    child = Child("stubborn", STUBBORN, log=tmp_path / "log")
    child.start()
    wait_until(lambda: "up" in child.last_lines(), 5, "the child", child)
    child.stop(timeout=0.2)
    assert not child.running


def test_a_child_that_ends_at_its_start_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    child = Child("bad", [sys.executable, "-c", "print('no room')"], log=tmp_path / "log")
    child.start()
    with pytest.raises(ServiceError, match="no room"):
        wait_until(lambda: False, 5, "It", child)


def test_no_child_outlives_a_killed_parent(tmp_path: Path) -> None:
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from emotion_clf.local.processes import Child\n"
        f"child = Child('sleep', {SLEEP!r}, log=Path({str(tmp_path / 'log')!r}))\n"
        "child.start(); print(child.pid, flush=True); time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    pid = int(parent.stdout.readline())
    assert alive(pid)
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 5
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(pid)
