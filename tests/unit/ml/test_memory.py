"""Freed memory goes back to the system."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import re
from pathlib import Path
from ml.memory import give_back
def resident():
    return int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
kept = [bytes(10_000) for _ in range(20_000)]
del kept[:-1]
before = resident()
give_back()
print(before - resident())
"""


def test_what_was_freed_goes_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) > 50_000  # of 200,000 kB, the last of which is still in use
