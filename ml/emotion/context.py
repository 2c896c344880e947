"""Which sentences a sentence sees around itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def neighbours(count: int, radius: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the neighbours of ``count`` sentences in order: rows and mask.

    Both are ``(count, 2 * radius)``: the sentence ``radius`` before comes first, the one
    ``radius`` after last. The mask is 0.0, and the row 0, where the text has no such
    sentence.
    """
    offsets = np.concatenate([np.arange(-radius, 0), np.arange(1, radius + 1)])
    rows = np.arange(count)[:, None] + offsets
    present = (rows >= 0) & (rows < count)
    return np.where(present, rows, 0), present.astype(np.float32)
