"""Temperatures and thresholds, found on the development texts with numpy alone.

What was compared on GoEmotions' dev split by cross-validation stands in ``docs/decisions.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml.corpora import data
from ml.corpora.data import UNKNOWN
from ml.emotion.checkpoint import Checkpoint
from ml.emotion.probabilities import (
    Floats,
    Logits,
    base_evidence,
    ordinal,
    sigmoid,
    softmax,
)
from ml.evaluation.reading import Reader
from ml.taxonomy import INTENSITIES, SUB_EMOTIONS

_TEMPERATURES: Final = np.geomspace(0.25, 4.0, 81)
_WITNESS_TEMPERATURES: Final = np.geomspace(0.5, 32.0, 37)
"""Up to one at which a witness says next to nothing."""
_TRUST: Final = 0.5
_EPSILON: Final = 1e-7


def calibrate(
    folder: Path, source: Path, threads: int = 0
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the temperatures and the thresholds for the checkpoint in ``folder``.

    They are found with the int8 graphs, because those are what will run: sub-emotions and
    base emotions on GoEmotions' dev split, intensity on the dev transcripts.
    """
    reader = Reader(Checkpoint.load(folder), threads)
    dev = data.goemotions(source, "dev")
    logits = reader.logits(reader.encode(dev.texts))
    degrees, degree_target = _intensities(reader, source)
    sub = temperature(logits.sub, dev.sub, sigmoid, multilabel_loss)
    probabilities = sigmoid(logits.sub / sub)
    one = data.single_base(dev.base)
    base, base_from_sub = witnesses(logits.base[one], probabilities[one], dev.base[one])
    temperatures = {
        "sub": sub,
        "base": base,
        "base_from_sub": base_from_sub,
        "intensity": temperature(degrees, degree_target, ordinal, distribution_loss),
    }
    thresholds = tune_thresholds(probabilities, dev.sub)
    return temperatures, dict(zip(SUB_EMOTIONS, map(float, thresholds), strict=True))


def _intensities(reader: Reader, source: Path) -> tuple[Floats, Floats]:
    """Return logits ``(n, 2)`` and one-hot targets ``(n, 3)`` of the graded dev lines."""
    logits, targets = [], []
    for transcript in data.transcripts(source, "dev"):
        graded = transcript.intensity != UNKNOWN
        read: Logits = reader.logits(reader.encode(transcript.texts), in_order=True)
        logits.append(read.intensity[graded])
        targets.append(np.eye(len(INTENSITIES))[transcript.intensity[graded]])
    return np.concatenate(logits), np.concatenate(targets)


def multilabel_loss(probabilities: Floats, target: Floats) -> float:
    """Return the mean binary cross-entropy; both ``(n, labels)``."""
    p = np.clip(probabilities, _EPSILON, 1 - _EPSILON)
    return float(-np.mean(target * np.log(p) + (1 - target) * np.log(1 - p)))


def distribution_loss(probabilities: Floats, target: Floats) -> float:
    """Return the mean cross-entropy of distributions; both ``(n, classes)``."""
    return float(-np.mean((target * np.log(np.maximum(probabilities, _EPSILON))).sum(axis=1)))


def temperature(
    logits: Floats,
    target: Floats,
    read: Callable[[Floats], Floats],
    loss: Callable[[Floats, Floats], float],
) -> float:
    """Return the number that ``logits`` are best divided by before ``read`` (Guo et al. 2017)."""
    losses = [loss(read(logits / value), target) for value in _TEMPERATURES]
    return float(_TEMPERATURES[int(np.argmin(losses))])


def witnesses(base: Floats, sub: Floats, target: Floats) -> tuple[float, float]:
    """Return what base logits and the evidence of sub-emotions are best divided by.

    ``base`` is ``(n, 7)``, ``sub`` holds calibrated probabilities ``(n, 28)``, ``target`` is
    ``(n, 7)``. The sum of both, each over its temperature, is what the classifier reads with
    a softmax (:meth:`ml.emotion.probabilities.Logits.calibrated`).
    """
    evidence = base_evidence(sub)
    pairs = [(own, other) for own in _WITNESS_TEMPERATURES for other in _WITNESS_TEMPERATURES]
    losses = [
        distribution_loss(softmax(base / own + evidence / other), target) for own, other in pairs
    ]
    own, other = pairs[int(np.argmin(losses))]
    return float(own), float(other)


def tune_thresholds(probabilities: Floats, target: Floats, trust: float = _TRUST) -> Floats:
    """Return for each label the threshold of the highest expected F1, ``(labels,)``.

    The F1 is taken against labels that are drawn towards the calibrated ``probabilities``:
    ``trust`` of them, and the rest of the annotators' ``target``, both ``(n, labels)``. With
    0 that is the threshold of the highest F1 on these very texts, which for a label with a
    dozen examples follows chance; with 1 it is F*/2, the best threshold of a model that is
    right about its own probabilities (Lipton et al. 2014, https://arxiv.org/abs/1402.1892).

    Each lies half way between two probabilities that occur, so that rounding decides nothing;
    a label that does not occur has 0.5.
    """
    pairs = zip(probabilities.T, target.T, strict=True)
    return np.array([_threshold(p, t, trust) for p, t in pairs], np.float64)


def _threshold(probabilities: Floats, target: NDArray[np.floating], trust: float) -> float:
    if not target.any():
        return 0.5
    order = np.argsort(-probabilities, kind="stable")
    ranked = probabilities[order].astype(np.float64)
    drawn = trust * ranked + (1 - trust) * target[order]
    scores = 2 * np.cumsum(drawn) / (np.arange(1, len(ranked) + 1) + drawn.sum())
    best = int(np.argmax(scores))
    below = ranked[best + 1] if best + 1 < len(ranked) else 0.0
    return float((ranked[best] + below) / 2)
