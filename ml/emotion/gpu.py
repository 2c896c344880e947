"""Torch on a GPU, in half precision: the same interface and answers as the CPU runtime.

Sentences are sorted by length and run in batches of about as many tokens, so little is
padded. The weights are those of ``encoder.onnx``; the heads run on the CPU from the same
graph as there (:mod:`ml.emotion.heads`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ml.emotion.checkpoint import Checkpoint
from ml.emotion.dequantise import weights
from ml.emotion.heads import Heads
from ml.emotion.inputs import Vectors
from ml.emotion.model import Encoder, mean_pool
from ml.emotion.probabilities import Logits
from ml.emotion.tokens import TextTokenizer
from ml.errors import ModelUnavailable
from ml.processors import cores

log = logging.getLogger(__name__)

_NO_MEMORY: Final = ("out of memory", "alloc_failed")
TOKENS: Final = 65_536
"""Tokens that run at once, padding counted, until memory runs out the first time."""


class TorchRuntime:
    """Encoder on a GPU, heads on the CPU. Safe to share between threads."""

    def __init__(self, checkpoint: Checkpoint, threads: int = 0, device: str = "cuda") -> None:
        """Load the checkpoint; ``device`` ``cpu`` computes in fp32, for tests.

        Raises :class:`~ml.errors.ModelUnavailable` if the weights cannot be read or do not
        fit into the GPU's memory.
        """
        self._device = torch.device(device)
        self._heads = Heads(checkpoint, threads or cores())
        self._tokenizer = TextTokenizer(checkpoint)
        self.encoder: Final = _encoder(checkpoint, self._device)
        self.tokens = TOKENS
        """Tokens that run at once; halved when memory runs out, for as long as this lives."""
        self.hidden: Final = self._heads.hidden
        self.feature_count: Final = self._heads.feature_count

    def encode(
        self,
        texts: Sequence[str],
        *,
        batch_size: int = 32,
        should_stop: Callable[[], None] = lambda: None,
    ) -> NDArray[np.float32]:
        """Return one vector for each text, ``(n, hidden)``; what repeats is encoded once.

        ``batch_size`` is for the CPU: here tokens are counted. ``should_stop`` is called
        before each batch and may raise. Raises :class:`~ml.errors.ModelUnavailable` if the
        memory does not suffice for a single sentence.
        """
        ids, which = self._tokenizer(texts)
        return self.vectors(ids, should_stop=should_stop)[which]

    def vectors(
        self,
        ids: Sequence[tuple[int, ...]],
        *,
        should_stop: Callable[[], None] = lambda: None,
    ) -> NDArray[np.float32]:
        """Return one vector for each of the tokenised texts, ``(n, hidden)``."""
        if not ids:
            return np.empty((0, self.hidden), np.float32)
        order = np.argsort([-len(each) for each in ids], kind="stable")
        done: list[Tensor] = []
        start = 0
        while start < len(order):
            should_stop()
            batch = [ids[row] for row in order[start : start + self._rows(ids[order[start]])]]
            pooled = self._attempt(batch)
            if pooled is not None:
                done.append(pooled)
                start += len(batch)
        vectors = np.empty((len(order), self.hidden), np.float32)
        vectors[order] = torch.cat(done).cpu().numpy()
        return vectors

    def logits(self, pooled: NDArray[np.float32], vectors: Vectors, *, in_order: bool) -> Logits:
        """Read ``pooled`` ``(n, hidden)`` as :meth:`ml.emotion.heads.Heads.logits` does."""
        return self._heads.logits(pooled, vectors, in_order=in_order)

    def _rows(self, longest: Sequence[int]) -> int:
        return max(1, self.tokens // len(longest))

    def _attempt(self, batch: list[tuple[int, ...]]) -> Tensor | None:
        """Return the vectors of a batch, longest first; None if it must be tried smaller."""
        try:
            return self._forward(batch)
        except RuntimeError as error:
            # What the failed run holds is freed when this block is left, so nothing is
            # tried again in here.
            if not _ran_out_of_memory(error):
                raise
        self._shrink(batch)
        return None

    def _shrink(self, batch: list[tuple[int, ...]]) -> None:
        """Halve the tokens that run at once, from what has just proved too many."""
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        if len(batch) == 1:
            raise ModelUnavailable(
                "The GPU has too little free memory to classify a single sentence.",
                hint="Free some of it, or set classification.device to cpu.",
            )
        self.tokens = min(self.tokens, len(batch) * len(batch[0])) // 2
        log.warning("GPU memory ran out; from now on %d tokens run at once", self.tokens)

    def _forward(self, batch: list[tuple[int, ...]]) -> Tensor:
        """Return the vectors of a batch, ``(n, hidden)``, without waiting for the GPU."""
        lengths = np.array([len(each) for each in batch])
        present = np.arange(lengths[0]) < lengths[:, None]
        padded = np.zeros(present.shape, np.int64)
        padded[present] = np.fromiter(chain.from_iterable(batch), np.int64, lengths.sum())
        ids, mask = self._moved(padded), self._moved(present.astype(np.int64))
        with torch.inference_mode():
            # Sums over many tokens would lose digits in half precision.
            return mean_pool(self.encoder.states(ids, mask).float(), mask)

    def _moved(self, values: NDArray[np.int64]) -> Tensor:
        """Copy to the device; from pinned memory, so that the next batch is made meanwhile."""
        tensor = torch.from_numpy(values)
        if self._device.type == "cuda":
            return tensor.pin_memory().to(self._device, non_blocking=True)
        return tensor


def _ran_out_of_memory(error: RuntimeError) -> bool:
    """Say whether memory is what was lacking; CUDA's libraries only say so in words."""
    words = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or any(each in words for each in _NO_MEMORY)


def _encoder(checkpoint: Checkpoint, device: torch.device) -> Encoder:
    try:
        encoder = Encoder(dict(checkpoint.backbone))
    except Exception as error:  # transformers raises whatever its configurations raise
        raise ModelUnavailable(
            "The checkpoint's backbone is not one that torch can run."
        ) from error
    wanted = {name: tuple(value.shape) for name, value in encoder.state_dict().items()}
    found = weights(checkpoint.encoder, wanted)
    encoder.load_state_dict({name: torch.from_numpy(found[name]) for name in wanted})
    precision = torch.float16 if device.type == "cuda" else torch.float32
    try:
        encoder.eval().to(device, precision)
    except torch.OutOfMemoryError as error:
        raise ModelUnavailable(
            "The GPU has too little free memory for the classifier's weights.",
            hint="Free some of it, or set classification.device to cpu.",
        ) from error
    return encoder
