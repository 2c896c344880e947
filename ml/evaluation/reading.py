"""What a checkpoint says of texts: encoded once, read in several ways.

It is put together from the same parts as :class:`ml.emotion.classifier.Classifier`, and a test
holds both to the same answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml.emotion.checkpoint import Checkpoint
from ml.emotion.inputs import TERM_WIDTH, Vectors
from ml.emotion.probabilities import Logits
from ml.emotion.runtime import Runtime
from ml.options import ClassificationOptions
from ml.text.features import features as features_of
from ml.text.terms import TermWeights


@dataclass(frozen=True, slots=True)
class Encoded:
    """Texts as the heads take them."""

    pooled: NDArray[np.float32]
    """``(n, hidden)``: the encoder's vectors."""
    vectors: Vectors
    """What the feature engine says."""

    def reordered(self, order: NDArray[np.int64]) -> Encoded:
        """Return the same texts in another order."""
        linguistic, ids, weights = self.vectors
        return Encoded(self.pooled[order], Vectors(linguistic[order], ids[order], weights[order]))


FEATURES_BY_DEFAULT: Final = ClassificationOptions().features
"""Whether a prediction uses the feature engine unless it is told otherwise."""


class Reader:
    """A checkpoint on the CPU."""

    def __init__(self, checkpoint: Checkpoint, threads: int = 0) -> None:
        """Load the graphs; ``threads`` 0 takes as many as there are cores."""
        self._runtime = Runtime(checkpoint, threads)
        self._terms = TermWeights.from_json(checkpoint.terms)

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Run the encoder and the feature engine."""
        vectors = Vectors(features_of(texts), *self._terms.transform(texts, TERM_WIDTH))
        return Encoded(self._runtime.encode(texts), vectors)

    def logits(
        self, encoded: Encoded, *, in_order: bool = False, use_features: bool = FEATURES_BY_DEFAULT
    ) -> Logits:
        """Run the heads; the meaning of both flags is that of ``Classifier.predict``."""
        vectors = encoded.vectors
        if not use_features:
            vectors = Vectors.off(*vectors.linguistic.shape)
        return self._runtime.logits(encoded.pooled, vectors, in_order=in_order)
