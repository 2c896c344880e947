"""What figures were measured on."""

from __future__ import annotations

import platform
from pathlib import Path

import onnxruntime


def machine() -> dict[str, str]:
    """Return the processor, its cores and the versions that figures depend on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": str(len(names)) if names else "unknown",
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
    }
