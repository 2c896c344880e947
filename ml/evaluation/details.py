"""What lies behind a checkpoint's figures: labels, confusions, calibration, confidence."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from ml.corpora import data
from ml.corpora.data import LabelledTexts
from ml.emotion.probabilities import Floats
from ml.evaluation.bootstrap import figure
from ml.evaluation.judge import Judge, Material
from ml.evaluation.scores import (
    CALIBRATION_BINS,
    Flags,
    Indices,
    accuracy,
    calibration_error,
    confusion,
    f1_per_label,
)
from ml.options import ClassificationOptions
from ml.taxonomy import BASE_EMOTIONS, SUB_EMOTIONS

_UNCALIBRATED: Final = {"sub": 1.0, "base": 1.0, "intensity": 1.0}


def details(judge: Judge, material: Material) -> dict[str, Any]:
    """Return per-label scores, confusions between base emotions, calibration and confidence.

    Comments are read as written, transcripts in order, both with features if that is the default.
    """
    one = data.single_base(material.comments.base)
    truth = material.comments.base[one].argmax(axis=1)
    lines = material.lines
    comments = judge.comments()
    said = {"comments": comments.base[one], "transcripts": judge.lines().base[lines.known]}
    truths = {"comments": truth, "transcripts": lines.base}
    units = {"comments": np.arange(len(truth)), "transcripts": lines.block[lines.known]}
    raw = {
        "comments": judge.comments(temperatures=_UNCALIBRATED).base[one],
        "transcripts": judge.lines(temperatures=_UNCALIBRATED).base[lines.known],
    }
    return {
        "labels": _labels(comments.sub >= judge.thresholds, material.comments),
        "confusion": {name: _confusion(said[name], truths[name]) for name in said},
        "calibration": {"bins": CALIBRATION_BINS}
        | {
            name: {
                "before": _error(raw[name], truths[name], units[name]),
                "after": _error(said[name], truths[name], units[name]),
            }
            for name in said
        },
        "confidence": {"threshold": ClassificationOptions().confidence_threshold}
        | {name: _confidence(said[name], truths[name], units[name]) for name in said},
    }


def _labels(present: Flags, comments: LabelledTexts) -> dict[str, dict[str, float]]:
    """Return precision, recall, F1 and how often it occurs for each sub-emotion."""
    target = comments.sub
    both = (present * target).sum(axis=0)
    columns = zip(
        SUB_EMOTIONS,
        both / np.maximum(present.sum(axis=0), 1),
        both / np.maximum(target.sum(axis=0), 1),
        f1_per_label(present, target),
        target.sum(axis=0),
        strict=True,
    )
    return {
        name: {
            "precision": round(float(precision), 4),
            "recall": round(float(recall), 4),
            "f1": round(float(f1), 4),
            "support": int(support),
        }
        for name, precision, recall, f1, support in columns
    }


def _confusion(base: Floats, truth: Indices) -> dict[str, dict[str, int]]:
    """Return by true base emotion how often each was answered."""
    table = confusion(base.argmax(axis=1), truth, len(BASE_EMOTIONS))
    return {
        name: dict(zip(BASE_EMOTIONS, map(int, row), strict=True))
        for name, row in zip(BASE_EMOTIONS, table, strict=True)
    }


def _error(base: Floats, truth: Indices, unit: Indices) -> dict[str, float]:
    return figure(calibration_error(base.max(axis=1), base.argmax(axis=1) == truth, unit))


def _confidence(base: Floats, truth: Indices, unit: Indices) -> dict[str, Any]:
    """Return how often predictions are sure enough by default, and right when they are or not."""
    sure = base.max(axis=1) >= ClassificationOptions().confidence_threshold
    answer = base.argmax(axis=1)
    return {
        "share_sure": figure(accuracy(sure.astype(int), np.ones(len(sure), int), unit)),
        "accuracy_sure": figure(accuracy(answer[sure], truth[sure], unit[sure])),
        "accuracy_unsure": figure(accuracy(answer[~sure], truth[~sure], unit[~sure])),
    }
