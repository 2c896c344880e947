"""Which runtime carries the classifier: ONNX Runtime on the CPU, or torch on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ml.emotion.checkpoint import Checkpoint
from ml.emotion.inputs import Vectors
from ml.emotion.probabilities import Logits
from ml.errors import ExtraMissing, ModelUnavailable
from ml.options import Device

_PACKAGES: Final = ("torch", "transformers", "onnx")
"""What the GPU runtime needs beside a GPU: the extra ``gpu``."""
_NODES: Final = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
"""Linux has one of them where there is a GPU that torch can use: NVIDIA, WSL, AMD."""


class Engine(Protocol):
    """What the classifier asks of a runtime."""

    @property
    def feature_count(self) -> int:
        """Length of the linguistic feature vector that the heads take."""

    def encode(
        self,
        texts: Sequence[str],
        *,
        batch_size: int,
        should_stop: Callable[[], None],
    ) -> NDArray[np.float32]:
        """Return one vector for each text, ``(n, hidden)``."""

    def logits(self, pooled: NDArray[np.float32], vectors: Vectors, *, in_order: bool) -> Logits:
        """Return what the heads say of these vectors."""


def load(checkpoint: Checkpoint, device: Literal["cpu", "cuda"], threads: int) -> Engine:
    """Return the runtime for a device, with the checkpoint loaded."""
    if device == "cuda":
        from ml.emotion.gpu import TorchRuntime

        return TorchRuntime(checkpoint, threads)
    from ml.emotion.runtime import Runtime

    return Runtime(checkpoint, threads)


def choose(device: Device) -> Literal["cpu", "cuda"]:
    """Return the device to use; ``auto`` takes a GPU where torch and a GPU are there.

    Torch is imported only where it is installed and the system shows a GPU, because that
    takes seconds. Raises, for ``cuda`` alone, :class:`~ml.errors.ExtraMissing` or
    :class:`~ml.errors.ModelUnavailable`.
    """
    if device == "cpu":
        return "cpu"
    absent = [name for name in _PACKAGES if find_spec(name) is None]
    if device == "auto":
        shown = any(Path(node).exists() for node in _NODES)
        return "cuda" if shown and not absent and _torch_sees_one() else "cpu"
    if absent:
        raise ExtraMissing(
            f"classification.device is cuda, and not installed: {', '.join(absent)}.",
            hint="Install them with pip install 'emotion-clf[gpu]'.",
        )
    if not _torch_sees_one():
        raise ModelUnavailable(
            "classification.device is cuda, and torch sees no GPU.",
            hint="Check the driver with nvidia-smi, or set classification.device to auto.",
        )
    return "cuda"


def _torch_sees_one() -> bool:
    import torch

    return bool(torch.cuda.is_available())
