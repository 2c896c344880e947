"""Temperatures and thresholds, found on the development texts, and the scores they serve.

numpy alone: the evaluation of a checkpoint needs no torch.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml.emotion.checkpoint import Checkpoint
from ml.emotion.probabilities import Floats, Logits, ordinal, sigmoid, softmax
from ml.emotion.runtime import Runtime
from ml.taxonomy import SUB_EMOTIONS
from ml.text.features import features
from ml.training import data
from ml.training.data import UNKNOWN

_TEMPERATURES = np.geomspace(0.25, 4.0, 81)
_EPSILON = 1e-7


def calibrate(folder: Path, source: Path) -> tuple[dict[str, float], dict[str, float]]:
    """Return the temperatures and thresholds for the checkpoint in ``folder``.

    They are found with the int8 graphs, because those are what will run: sub-emotions and
    base emotions on GoEmotions' dev split, intensity on the dev transcripts.
    """
    runtime = Runtime(Checkpoint.load(folder))
    dev = data.goemotions(source, "dev")
    logits = run(runtime, dev.texts, in_order=False)
    degrees, degree_target = _intensities(runtime, source)
    temperatures = {
        "sub": temperature(logits.sub, dev.sub, sigmoid, multilabel_loss),
        "base": temperature(logits.base, dev.base, softmax, distribution_loss),
        "intensity": temperature(degrees, degree_target, ordinal, distribution_loss),
    }
    probabilities = sigmoid(logits.sub / temperatures["sub"])
    thresholds = tune_thresholds(probabilities, dev.sub)
    return temperatures, dict(zip(SUB_EMOTIONS, map(float, thresholds), strict=True))


def run(runtime: Runtime, texts: tuple[str, ...], *, in_order: bool) -> Logits:
    """Return the logits of ``texts``."""
    pooled = runtime.encode(texts)
    return runtime.logits(pooled, features(texts), in_order=in_order)


def _intensities(runtime: Runtime, source: Path) -> tuple[Floats, Floats]:
    """Return logits ``(n, 2)`` and one-hot targets ``(n, 3)`` of the graded dev lines."""
    logits, targets = [], []
    for transcript in data.transcripts(source, "dev"):
        graded = transcript.intensity != UNKNOWN
        logits.append(run(runtime, transcript.texts, in_order=True).intensity[graded])
        targets.append(np.eye(3, dtype=np.float32)[transcript.intensity[graded]])
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


def tune_thresholds(probabilities: Floats, target: Floats) -> Floats:
    """Return for each label the threshold of the highest F1, ``(labels,)``.

    Each lies half way between two probabilities that occur, so that rounding decides nothing;
    a label that does not occur has 0.5.
    """
    return np.array(
        [_threshold(p, t) for p, t in zip(probabilities.T, target.T, strict=True)], np.float64
    )


def _threshold(probabilities: Floats, target: Floats) -> float:
    if not target.any():
        return 0.5
    order = np.argsort(-probabilities, kind="stable")
    ranked, hits = probabilities[order], np.cumsum(target[order])
    scores = 2 * hits / (np.arange(1, len(ranked) + 1) + target.sum())
    best = int(np.argmax(scores))
    below = ranked[best + 1] if best + 1 < len(ranked) else 0.0
    return float((ranked[best] + below) / 2)


def f1_per_label(predicted: NDArray[np.bool_], target: Floats) -> Floats:
    """Return the F1 of each label, 0 where a label was neither predicted nor present."""
    both = (predicted * target).sum(axis=0)
    scores: Floats = 2 * both / np.maximum(predicted.sum(axis=0) + target.sum(axis=0), 1)
    return scores


def macro_f1(predicted: NDArray[np.bool_], target: Floats) -> float:
    """Return the mean of :func:`f1_per_label`."""
    return float(f1_per_label(predicted, target).mean())


def calibration_error(confidence: Floats, correct: NDArray[np.bool_], bins: int = 15) -> float:
    """Return the expected calibration error over ``bins`` of equal width (Guo et al. 2017)."""
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [
        abs(confidence[which == b].mean() - correct[which == b].mean()) * np.mean(which == b)
        for b in np.unique(which)
    ]
    return float(np.sum(gaps))
