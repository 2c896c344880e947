"""The scores that a checkpoint is measured by.

Each is a function of sums over its rows, so that :mod:`ml.evaluation.bootstrap` can resample the
rows of any of them with one matrix product.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ml.emotion.probabilities import Floats

Indices = NDArray[np.signedinteger[Any]]
Flags = NDArray[np.bool_]

CALIBRATION_BINS: Final = 15
"""Bins of equal width over the confidence, as Guo et al. (2017) take them."""


@dataclass(frozen=True, slots=True)
class Score:
    """A figure that depends on its rows through their sum alone."""

    rows: Floats
    """``(n, k)``: what each row adds to the sum."""
    read: Callable[[Floats], Floats]
    """From sums ``(..., k)`` to figures ``(...)``."""
    unit: Indices
    """``(n,)``: rows of the same unit are resampled together."""

    @property
    def value(self) -> float:
        """The figure over all rows, each counted once."""
        return float(self.read(self.rows.sum(axis=0)))

    def minus(self, other: Score) -> Score:
        """Return how much this figure exceeds ``other``, over the same units."""
        width = self.rows.shape[1]
        return Score(
            np.concatenate(
                [
                    np.pad(self.rows, ((0, 0), (0, other.rows.shape[1]))),
                    np.pad(other.rows, ((0, 0), (width, 0))),
                ]
            ),
            lambda sums: self.read(sums[..., :width]) - other.read(sums[..., width:]),
            np.concatenate([self.unit, other.unit]),
        )


def accuracy(answer: Indices, truth: Indices, unit: Indices) -> Score:
    """Return the share of rows whose ``answer`` is their ``truth``."""
    hit = (answer == truth).astype(np.float64)
    rows = np.stack([hit, np.ones_like(hit)], axis=1)
    return Score(rows, lambda sums: sums[..., 0] / np.maximum(sums[..., 1], 1), unit)


def labels_macro_f1(present: Flags, target: Floats, unit: Indices) -> Score:
    """Return the mean over labels of their F1; ``present`` and ``target`` are ``(n, labels)``.

    A label that is neither predicted nor present counts as 0.
    """
    both = present * target
    rows = np.concatenate([both, present + target], axis=1)
    labels = target.shape[1]

    def read(sums: Floats) -> Floats:
        each = 2 * sums[..., :labels] / np.maximum(sums[..., labels:], 1)
        mean: Floats = each.mean(axis=-1)
        return mean

    return Score(rows, read, unit)


def macro_f1(answer: Indices, truth: Indices, classes: int, unit: Indices) -> Score:
    """Return the mean F1 of ``classes`` of which each row has exactly one."""
    one_hot = np.eye(classes)
    return labels_macro_f1(one_hot[answer] > 0, one_hot[truth], unit)


def calibration_error(confidence: Floats, correct: Flags, unit: Indices) -> Score:
    """Return the expected calibration error (Guo et al. 2017).

    It is the mean over all rows of how far their bin's accuracy is from its mean confidence,
    over :data:`CALIBRATION_BINS` bins of equal width.
    """
    which = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    member = np.eye(CALIBRATION_BINS)[which]
    gap = confidence.astype(np.float64) - correct
    rows = np.concatenate([member * gap[:, None], np.ones((len(gap), 1))], axis=1)

    def read(sums: Floats) -> Floats:
        error: Floats = np.abs(sums[..., :-1]).sum(axis=-1) / np.maximum(sums[..., -1], 1)
        return error

    return Score(rows, read, unit)


def quadratic_kappa(answer: Indices, truth: Indices, classes: int, unit: Indices) -> Score:
    """Return Cohen's kappa with quadratic weights (Cohen 1968) of ordered classes.

    1 is full agreement, 0 what two independent raters with the same habits reach.
    """
    rows = np.eye(classes * classes)[truth * classes + answer]
    grade = np.arange(classes)
    distance = ((grade[:, None] - grade) ** 2).astype(np.float64)

    def read(sums: Floats) -> Floats:
        table = sums.reshape(*sums.shape[:-1], classes, classes)
        total = np.maximum(table.sum(axis=(-2, -1)), 1)
        expected = table.sum(axis=-1)[..., :, None] * table.sum(axis=-2)[..., None, :]
        chance = (expected * distance).sum(axis=(-2, -1)) / total
        seen = (table * distance).sum(axis=(-2, -1))
        kappa: Floats = 1 - seen / np.where(chance > 0, chance, 1)
        return kappa

    return Score(rows, read, unit)


def f1_per_label(present: Flags, target: Floats) -> Floats:
    """Return the F1 of each label, 0 where a label was neither predicted nor present."""
    both = (present * target).sum(axis=0)
    scores: Floats = 2 * both / np.maximum(present.sum(axis=0) + target.sum(axis=0), 1)
    return scores


def confusion(answer: Indices, truth: Indices, classes: int) -> Indices:
    """Return how many rows of each class (rows) got each answer (columns)."""
    table = np.zeros((classes, classes), np.int64)
    np.add.at(table, (truth, answer), 1)
    return table
