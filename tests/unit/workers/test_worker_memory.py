from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from workers import memory
from workers.memory import descendants, gpu_memory, memory_limit, resident_bytes

GRANDCHILD = "import time; print(flush=True); time.sleep(60)"
CHILD = f"""
import subprocess, sys
held = bytearray(100_000_000)
subprocess.run([sys.executable, "-c", {GRANDCHILD!r}])
"""


@pytest.fixture
def child() -> Iterator[int]:
    """A process that holds 100 MB, and has started another."""
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD], stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout
    process.stdout.readline()
    yield process.pid
    os.killpg(process.pid, 9)
    process.communicate()


def test_what_a_process_started_is_counted_with_what_that_started(child: int) -> None:
    started = set(descendants(os.getpid()))
    assert child in started
    assert set(descendants(child)) < started
    assert len(set(descendants(child))) == 1
    assert resident_bytes(os.getpid())["pool"] > 100_000_000
    assert 0 < resident_bytes(child)["pool"] < 100_000_000 < resident_bytes(child)["parent"]


def test_the_limit_is_that_of_the_container_or_of_the_machine() -> None:
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < memory_limit() <= machine


def test_without_the_library_of_the_driver_there_are_no_gpus(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    memory._nvml.cache_clear()
    assert gpu_memory() == []
    memory._nvml.cache_clear()


def test_gpus_are_read_from_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """As nvidia-ml-py answers; no machine of the tests has a GPU."""
    nvml = SimpleNamespace(
        NVMLError=RuntimeError,
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: 2,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetMemoryInfo=lambda index: SimpleNamespace(used=index + 1, total=80),
    )
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    memory._nvml.cache_clear()
    assert gpu_memory() == [(1, 80), (2, 80)]
    memory._nvml.cache_clear()
