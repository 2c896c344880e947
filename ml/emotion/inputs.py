"""What the heads are told about a sentence beside its vector."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

TERM_WIDTH = 32
"""Terms of one text that the heads are given: those that weigh most."""


class Vectors(NamedTuple):
    """What the feature engine says of ``n`` sentences; zeros switch it off."""

    linguistic: NDArray[np.float32]
    """``(n, F)``: the vector of :func:`ml.text.features.features`."""
    term_ids: NDArray[np.int64]
    """``(n, width)``: terms of the checkpoint's vocabulary; 0 is no term."""
    term_weights: NDArray[np.float32]
    """``(n, width)``: the TF-IDF weight of each, 0 for no term."""

    @classmethod
    def off(cls, count: int, features: int) -> Vectors:
        """Return what ``count`` sentences have with the feature engine switched off."""
        return cls(
            np.zeros((count, features), np.float32),
            np.zeros((count, TERM_WIDTH), np.int64),
            np.zeros((count, TERM_WIDTH), np.float32),
        )

    def rows(self, part: slice) -> Vectors:
        """Return the same of some of the sentences."""
        return Vectors(self.linguistic[part], self.term_ids[part], self.term_weights[part])
