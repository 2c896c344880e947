from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from workers.scratch import PREFIX, sweep

PROGRAM = """
import os, sys, tempfile, time
from workers.scratch import move_in
move_in()
made = tempfile.mkdtemp()
print(made, os.environ["TMPDIR"], flush=True)
time.sleep(60)
"""


def start(base: Path) -> tuple[subprocess.Popen[str], Path]:
    """Start a process that moves in and makes a directory; return both."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env={"TMPDIR": str(base)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    made, home = map(Path, process.stdout.readline().split())
    assert made.parent == home
    assert home.parent == base
    return process, home


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    other = tmp_path / "somebody-else"
    other.mkdir()
    (tmp_path / f"{PREFIX}link").symlink_to(other)
    first, left = start(tmp_path)
    second, kept = start(tmp_path)
    try:
        assert left.exists(), "the second one swept what the first one holds"
        first.kill()
        first.communicate()
        third, own = start(tmp_path)
        third.kill()
        third.communicate()
        assert not left.exists(), "a process that starts sweeps"
        sweep(tmp_path)
        assert not own.exists()
        assert kept.exists()
        assert other.exists()
    finally:
        second.kill()
        second.communicate()
