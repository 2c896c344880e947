"""Answers about labelled texts, whoever gave them, and the scores they earn."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from ml.corpora import data
from ml.corpora.data import BASE_INDEX_OF_SUB, UNKNOWN, LabelledTexts
from ml.emotion.probabilities import Floats
from ml.evaluation.scores import (
    Flags,
    Indices,
    Score,
    accuracy,
    calibration_error,
    labels_macro_f1,
    macro_f1,
    quadratic_kappa,
)
from ml.taxonomy import BASE_EMOTIONS, INTENSITIES

THREE: Final = ("happiness", "sadness", "anger")
"""The three emotions of the three-way accuracy."""
_THREE: Final = np.array([BASE_EMOTIONS.index(name) for name in THREE])


class CommentAnswers(NamedTuple):
    """What was said of ``n`` comments."""

    present: Flags
    """``(n, 28)``: the sub-emotions that reach their thresholds."""
    base: Floats
    """``(n, 7)``: distributions over the base emotions."""


class LineAnswers(NamedTuple):
    """What was said of ``n`` lines of transcripts."""

    base: Floats
    """``(n, 7)``: distributions over the base emotions."""
    intensity: Floats
    """``(n, 3)``: distributions over the intensities."""


class Lines(NamedTuple):
    """The labels of lines, ``(n,)`` each; ``UNKNOWN`` where a label is missing."""

    sub: Indices
    intensity: Indices
    block: Indices
    """Lines of the same block are resampled together."""

    @property
    def known(self) -> Flags:
        """Say which lines have an emotion."""
        flags: Flags = self.sub != UNKNOWN
        return flags

    @property
    def base(self) -> Indices:
        """The base emotion of each line that has one, ``(known,)``."""
        indices: Indices = BASE_INDEX_OF_SUB[self.sub[self.known]]
        return indices


def comment_scores(answers: CommentAnswers, comments: LabelledTexts) -> dict[str, Score]:
    """Return the scores on comments.

    ``macro_f1`` is of the 28 labels on all comments; the others are of the base emotion on the
    comments whose labels name exactly one. ``three_accuracy`` lets only three compete.
    """
    every = np.arange(len(comments))
    one = data.single_base(comments.base)
    base, truth, unit = answers.base[one], comments.base[one].argmax(axis=1), every[one]
    of_three = np.isin(truth, _THREE)
    restricted = _THREE[base[of_three][:, _THREE].argmax(axis=1)]
    return {
        "macro_f1": labels_macro_f1(answers.present, comments.sub, every),
        **_base_scores(base, truth, unit),
        "three_accuracy": accuracy(restricted, truth[of_three], unit[of_three]),
    }


def line_scores(answers: LineAnswers, lines: Lines) -> dict[str, Score]:
    """Return the scores on lines, each on the lines whose label is known."""
    graded = lines.intensity != UNKNOWN
    grade, truth = answers.intensity[graded].argmax(axis=1), lines.intensity[graded]
    unit = lines.block[graded]
    return {
        **_base_scores(answers.base[lines.known], lines.base, lines.block[lines.known]),
        "intensity_accuracy": accuracy(grade, truth, unit),
        "intensity_macro_f1": macro_f1(grade, truth, len(INTENSITIES), unit),
        "intensity_kappa": quadratic_kappa(grade, truth, len(INTENSITIES), unit),
    }


def _base_scores(base: Floats, truth: Indices, unit: Indices) -> dict[str, Score]:
    answer = base.argmax(axis=1)
    return {
        "base_accuracy": accuracy(answer, truth, unit),
        "base_macro_f1": macro_f1(answer, truth, len(BASE_EMOTIONS), unit),
        "calibration_error": calibration_error(base.max(axis=1), answer == truth, unit),
    }
