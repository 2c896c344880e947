"""How much memory a worker holds, as Linux and NVIDIA's driver tell."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

_PROC = Path("/proc")
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def resident_bytes(pid: int) -> Mapping[str, int]:
    """Return the memory of a process, and that of all that it started; nothing off Linux."""
    if not _PROC.is_dir():
        return {}
    return {"parent": _resident(pid), "pool": sum(map(_resident, set(descendants(pid))))}


def memory_limit() -> int:
    """Return the bytes that the container may take, or else those of the machine."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        limit = _CGROUP_LIMIT.read_text().strip()
    except OSError:
        return machine
    return min(machine, int(limit)) if limit.isdigit() else machine


def descendants(pid: int) -> Iterator[int]:
    """Yield the processes that a process started, and those that they started."""
    for listing in (_PROC / str(pid) / "task").glob("*/children"):
        with suppress(OSError):
            for child in listing.read_text().split():
                yield int(child)
                yield from descendants(int(child))


def _resident(pid: int) -> int:
    # It may have ended since it was listed.
    with suppress(OSError):
        pages = (_PROC / str(pid) / "statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    return 0


def gpu_memory() -> list[tuple[int, int]]:
    """Return bytes in use and bytes in all of each GPU; nothing without nvidia-ml-py or a GPU."""
    nvml = _nvml()
    if nvml is None:
        return []
    handles = map(nvml.nvmlDeviceGetHandleByIndex, range(nvml.nvmlDeviceGetCount()))
    infos = [nvml.nvmlDeviceGetMemoryInfo(handle) for handle in handles]
    return [(int(info.used), int(info.total)) for info in infos]


@cache
def _nvml() -> Any:
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return pynvml
