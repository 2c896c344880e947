"""Bootstrap intervals (Efron 1979) of scores that depend on sums over their rows.

What is resampled are units: single comments, because they were drawn from all over Reddit, and
blocks of consecutive lines of a transcript, because the lines of a scene share its mood, its
speakers and often their annotator. The intervals say how much a figure hangs on which comments
or scenes were drawn; they do not say how much another television series would change it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml.emotion.probabilities import Floats
from ml.evaluation.scores import Indices, Score

RESAMPLES: Final = 1_000
LEVEL: Final = 0.95
BLOCK_LINES: Final = 50
"""Consecutive lines of a transcript that are resampled together, about three minutes."""
SEED: Final = 0
_DIGITS: Final = 4

Figure = dict[str, float]
"""``value``, and ``low`` and ``high``, the ends of its interval."""


def figure(score: Score) -> Figure:
    """Return a score with its percentile interval over :data:`RESAMPLES` resamples.

    The interval is moved by what resampling itself adds: a calibration error, say, can only
    grow when rows repeat, and a mean over rare labels tends to fall.
    """
    units, which = np.unique(score.unit, return_inverse=True)
    sums = np.zeros((len(units), score.rows.shape[1]))
    np.add.at(sums, which, score.rows)
    drawn = score.read(_weights(len(units)) @ sums)
    moved = drawn - (drawn.mean() - score.value)
    if drawn.min() >= 0:
        moved = np.maximum(moved, 0.0)
    low, high = np.quantile(moved, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    values = {"value": score.value, "low": low, "high": high}
    return {name: round(float(value), _DIGITS) for name, value in values.items()}


def blocks(lengths: list[int]) -> Indices:
    """Return for each line of transcripts of these lengths the number of its block."""
    numbers: list[NDArray[np.int64]] = []
    first = 0
    for length in lengths:
        inside = np.arange(length) // BLOCK_LINES
        numbers.append(first + inside)
        first += 1 + int(inside.max(initial=-1))
    return np.concatenate(numbers)


@lru_cache(maxsize=8)
def _weights(units: int) -> Floats:
    """Return how often each resample draws each unit, ``(RESAMPLES, units)``."""
    generator = np.random.default_rng(SEED)
    drawn = generator.integers(units, size=(RESAMPLES, units), dtype=np.int32)
    counts = np.zeros((RESAMPLES, units))
    for row, chosen in zip(counts, drawn, strict=True):
        row[:] = np.bincount(chosen, minlength=units)
    return counts
