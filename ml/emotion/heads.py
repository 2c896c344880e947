"""The heads on the CPU: vectors of sentences to logits. Both runtimes use them.

They are small enough that the GPU runtime gains nothing by a copy of its own in torch, and
one graph is one truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from ml.emotion.checkpoint import HEADS, Checkpoint
from ml.emotion.context import neighbours
from ml.emotion.inputs import Vectors
from ml.emotion.probabilities import Logits
from ml.errors import ModelUnavailable

_BATCH: Final = 512
_INPUTS: Final = {
    "pooled",
    "context",
    "context_mask",
    "features",
    "term_ids",
    "term_weights",
}
_OUTPUTS: Final = ["sub", "base", "intensity"]


class Heads:
    """``heads.onnx``, ready to run. Safe to share between threads."""

    def __init__(self, checkpoint: Checkpoint, threads: int) -> None:
        """Load the graph; ``threads`` is how many cores one call may use."""
        self._session = session(checkpoint.heads, HEADS, threads)
        self._radius = checkpoint.context_radius
        widths = {each.name: each.shape[-1] for each in self._session.get_inputs()}
        if set(widths) != _INPUTS:
            raise ModelUnavailable(f"The checkpoint's {HEADS} has other inputs than this release.")
        self.hidden: Final = int(widths["pooled"])
        self.feature_count: Final = int(widths["features"])

    def logits(self, pooled: NDArray[np.float32], vectors: Vectors, *, in_order: bool) -> Logits:
        """Read ``pooled`` ``(n, hidden)`` with what the feature engine says of the same.

        ``in_order``: the rows are consecutive sentences, and each sees its neighbours.
        """
        rows, mask = neighbours(len(pooled), self._radius)
        if not in_order:
            mask = np.zeros_like(mask)
        parts = []
        for start in range(0, len(pooled), _BATCH):
            part = slice(start, start + _BATCH)
            given = vectors.rows(part)
            inputs = {
                "pooled": pooled[part],
                "context": pooled[rows[part]] * mask[part, :, None],
                "context_mask": mask[part],
                "features": given.linguistic,
                "term_ids": given.term_ids,
                "term_weights": given.term_weights,
            }
            parts.append(self._session.run(_OUTPUTS, inputs))
        return Logits(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def session(
    graph: bytes, name: str, threads: int, *, without: Sequence[str] = ()
) -> onnxruntime.InferenceSession:
    """Load a graph of a checkpoint; raise ModelUnavailable that names it.

    ``without`` names optimisers of ONNX Runtime that are to leave the graph alone.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(
            graph,
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=list(without),
        )
    except Exception as error:  # ONNX Runtime's own exceptions share no public base class
        raise ModelUnavailable(f"The checkpoint's {name} cannot be loaded.") from error
