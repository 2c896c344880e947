"""ONNX Runtime on the CPU: sentences to vectors, vectors to logits.

Each sentence runs through the encoder by itself, several at a time on threads of their own.
Batches would be half as fast again, but activations are quantised with one scale for all
that runs together: in a batch of 1,000 comments the company moved probabilities by up to
0.12 and changed 21 answers. So a sentence has the same vector in any company.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from ml.emotion.checkpoint import ENCODER, HEADS, TOKENIZER, Checkpoint
from ml.emotion.context import neighbours
from ml.emotion.probabilities import Logits
from ml.errors import ModelUnavailable
from ml.processors import cores

_HEADS_BATCH = 512

Floats = NDArray[np.float32]


class Runtime:
    """The two graphs of one checkpoint, ready to run. Safe to share between threads."""

    def __init__(self, checkpoint: Checkpoint, threads: int = 0) -> None:
        """Load the graphs; ``threads`` 0 takes as many as this process has cores."""
        self._radius = checkpoint.context_radius
        self._encoder = _session(checkpoint.encoder, ENCODER)
        self._heads = _session(checkpoint.heads, HEADS)
        self._tokenizer = _tokenizer(checkpoint)
        self._pool = ThreadPoolExecutor(threads or cores(), "encoder")
        self.hidden = int(self._heads.get_inputs()[0].shape[1])
        self.feature_count = int(self._heads.get_inputs()[3].shape[1])

    def encode(
        self,
        texts: Sequence[str],
        *,
        batch_size: int = 32,
        should_stop: Callable[[], None] = lambda: None,
    ) -> Floats:
        """Return one vector for each text, ``(n, hidden)``; what repeats is encoded once.

        ``should_stop`` is called before each ``batch_size`` sentences and may raise. Texts
        longer than the checkpoint's ``max_tokens`` are cut at their end.
        """
        readable = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        rows: dict[tuple[int, ...], int] = {}
        which = [
            rows.setdefault(tuple(encoding.ids), len(rows))
            for encoding in self._tokenizer.encode_batch(readable)
        ]
        distinct = list(rows)
        vectors = np.empty((len(distinct), self.hidden), np.float32)
        for start in range(0, len(distinct), batch_size):
            should_stop()
            part = distinct[start : start + batch_size]
            vectors[start : start + batch_size] = list(self._pool.map(self._vector, part))
        return vectors[which]

    def _vector(self, ids: Sequence[int]) -> Floats:
        """Return the vector of one sentence, ``(hidden,)``."""
        tokens = np.array([ids], np.int64)
        inputs = {"input_ids": tokens, "attention_mask": np.ones_like(tokens)}
        pooled: Floats = self._encoder.run(["pooled"], inputs)[0][0]
        return pooled

    def logits(self, pooled: Floats, features: Floats, *, in_order: bool) -> Logits:
        """Read ``pooled`` ``(n, hidden)`` and ``features`` ``(n, features)``.

        ``in_order``: the rows are consecutive sentences, and each sees its neighbours.
        """
        rows, mask = neighbours(len(pooled), self._radius)
        if not in_order:
            mask = np.zeros_like(mask)
        parts = []
        for start in range(0, len(pooled), _HEADS_BATCH):
            part = slice(start, start + _HEADS_BATCH)
            inputs = {
                "pooled": pooled[part],
                "context": pooled[rows[part]] * mask[part, :, None],
                "context_mask": mask[part],
                "features": features[part],
            }
            parts.append(self._heads.run(["sub", "base", "intensity"], inputs))
        return Logits(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def _session(graph: bytes, name: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    # One thread a run: the parallel work is over sentences.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own exceptions share no public base class
        raise ModelUnavailable(f"The checkpoint's {name} cannot be loaded.") from error


def _tokenizer(checkpoint: Checkpoint) -> Any:
    try:
        tokenizer = Tokenizer.from_str(checkpoint.tokenizer)
    except Exception as error:  # tokenizers raises plain Exception
        raise ModelUnavailable(f"The checkpoint's {TOKENIZER} cannot be read.") from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(checkpoint.max_tokens)
    return tokenizer
