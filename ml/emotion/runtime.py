"""ONNX Runtime on the CPU: sentences to vectors, vectors to logits.

Sentences of equal length run together, a few hundred tokens at a time, several batches on
threads of their own. So nothing is padded, and since the encoder gives each row of activations
a scale of its own (:mod:`ml.training.row_quantisation`), a sentence has the same vector in any
company.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from ml.emotion.checkpoint import ENCODER, Checkpoint
from ml.emotion.heads import Heads, session
from ml.emotion.inputs import Vectors
from ml.emotion.probabilities import Logits
from ml.emotion.tokens import TextTokenizer
from ml.processors import cores

TOKENS: Final = 512
"""Tokens that run at once. With more, what passes between layers leaves the core's cache."""

Floats = NDArray[np.float32]
Ids = Sequence[tuple[int, ...]]


class Runtime:
    """Encoder and heads of one checkpoint, ready to run. Safe to share between threads."""

    def __init__(self, checkpoint: Checkpoint, threads: int = 0) -> None:
        """Load the graphs; ``threads`` 0 takes as many as this process has cores."""
        self._threads = threads or cores()
        self._heads = Heads(checkpoint, self._threads)
        self._tokenizer = TextTokenizer(checkpoint)
        self._encoder = encoder_session(checkpoint.encoder)
        self._masked = any(each.name == "attention_mask" for each in self._encoder.get_inputs())
        self._pool = ThreadPoolExecutor(self._threads, "encoder")
        self.hidden: Final = self._heads.hidden
        self.feature_count: Final = self._heads.feature_count

    def encode(
        self,
        texts: Sequence[str],
        *,
        batch_size: int = 32,
        should_stop: Callable[[], None] = lambda: None,
    ) -> Floats:
        """Return one vector for each text, ``(n, hidden)``; what repeats is encoded once.

        At most ``batch_size`` sentences run at once. ``should_stop`` is called before each
        batch and may raise. Texts longer than the checkpoint's ``max_tokens`` are cut at
        their end.
        """
        ids, which = self._tokenizer(texts)
        vectors = np.empty((len(ids), self.hidden), np.float32)
        # Two batches a thread: one runs, one waits, and a cancel is heard soon.
        running: deque[tuple[list[int], Future[Floats]]] = deque()
        try:
            for rows in batches(ids, batch_size):
                should_stop()
                if len(running) == 2 * self._threads:
                    done, future = running.popleft()
                    vectors[done] = future.result()
                running.append((rows, self._pool.submit(self._pooled, [ids[row] for row in rows])))
            for done, future in running:
                should_stop()
                vectors[done] = future.result()
        except BaseException:
            for _, future in running:
                future.cancel()
            raise
        return vectors[which]

    def logits(self, pooled: Floats, vectors: Vectors, *, in_order: bool) -> Logits:
        """Read ``pooled`` ``(n, hidden)`` as :meth:`ml.emotion.heads.Heads.logits` does."""
        return self._heads.logits(pooled, vectors, in_order=in_order)

    def _pooled(self, ids: Ids) -> Floats:
        """Return the vectors of sentences of one length, ``(n, hidden)``."""
        inputs = {"input_ids": np.array(ids, np.int64)}
        if self._masked:
            inputs["attention_mask"] = np.ones_like(inputs["input_ids"])
        pooled: Floats = self._encoder.run(["pooled"], inputs)[0]
        return pooled


def batches(ids: Ids, most: int, tokens: int = TOKENS) -> Iterator[list[int]]:
    """Yield the places of sentences that run together, the longest first.

    They have one length, are at most ``most``, and hold at most ``tokens`` tokens unless one
    alone has more.
    """
    by_length: defaultdict[int, list[int]] = defaultdict(list)
    for place, each in enumerate(ids):
        by_length[len(each)].append(place)
    for length in sorted(by_length, reverse=True):
        size = max(1, min(most, tokens // length))
        places = by_length[length]
        for start in range(0, len(places), size):
            yield places[start : start + size]


def encoder_session(graph: bytes) -> onnxruntime.InferenceSession:
    """Load the encoder for runs on one thread each; raise ModelUnavailable that names it."""
    # The parallel work is over batches. On the CPU the fused operator is several times slower
    # than its two parts.
    return session(graph, ENCODER, 1, without=["SkipLayerNormFusion"])
