"""The figures of a checkpoint: ``emotion-clf evaluate``.

It measures what is shipped, the int8 graphs, with numpy and ONNX Runtime alone. Thresholds
and temperatures come from the checkpoint, where the dev texts put them; every figure here
is of test texts.
"""

from __future__ import annotations

import logging
import platform
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from ml.emotion.checkpoint import Checkpoint
from ml.emotion.probabilities import Floats, Probabilities
from ml.emotion.runtime import Runtime
from ml.taxonomy import BASE_EMOTIONS, INTENSITIES, SUB_EMOTIONS
from ml.text.features import features
from ml.training import data
from ml.training.calibrate import calibration_error, f1_per_label, macro_f1
from ml.training.data import BASE_INDEX_OF_SUB, UNKNOWN, LabelledTexts, Transcript
from ml.training.options import EvaluateOptions

log = logging.getLogger(__name__)

THREE: Final = ("happiness", "sadness", "anger")
"""The three emotions of the three-way accuracy."""


def evaluate(options: EvaluateOptions) -> dict[str, Any]:
    """Evaluate a checkpoint on GoEmotions' test split and the test transcripts."""
    checkpoint = Checkpoint.load(options.checkpoint)
    judge = _Judge(checkpoint, options.threads)
    comments = data.goemotions(options.data, "test")
    read = data.transcripts(options.data, "test")
    if options.limit is not None:
        comments = comments.head(options.limit)
        read = [_head(transcript, options.limit) for transcript in read]
    found = {
        "checkpoint": {"name": checkpoint.name, "version": checkpoint.version},
        "machine": machine(),
        "goemotions_test": judge.comments(comments),
        "transcripts_test": judge.transcripts(read),
    }
    if options.full_encoder is not None:
        full = replace(checkpoint, encoder=options.full_encoder.read_bytes())
        in_full = _Judge(full, options.threads).comments(comments)
        found["goemotions_test_fp32"] = {
            name: in_full[name] for name in ("macro_f1", "base_accuracy", "sentences_per_second")
        }
    return found


class _Judge:
    """A checkpoint and its runtime, asked about labelled texts."""

    def __init__(self, checkpoint: Checkpoint, threads: int) -> None:
        self._checkpoint = checkpoint
        self._runtime = Runtime(checkpoint, threads)
        self._thresholds = np.array([checkpoint.thresholds[sub] for sub in SUB_EMOTIONS])

    def comments(self, comments: LabelledTexts) -> dict[str, Any]:
        """Return the figures on comments, each on its own."""
        start = time.perf_counter()
        pooled = self._runtime.encode(comments.texts)
        speed = len(comments) / (time.perf_counter() - start)
        vectors = features(comments.texts)
        read = self._read(pooled, vectors, in_order=False)
        bare = self._read(pooled, np.zeros_like(vectors), in_order=False)
        each = f1_per_label(read.sub >= self._thresholds, comments.sub)
        log.info("GoEmotions: macro-F1 %.4f, %.0f sentences/s", each.mean(), speed)
        return {
            "sentences": len(comments),
            "macro_f1": _figure(each.mean()),
            "macro_f1_without_features": _figure(
                macro_f1(bare.sub >= self._thresholds, comments.sub)
            ),
            "f1": {name: _figure(f1) for name, f1 in zip(SUB_EMOTIONS, each, strict=True)},
            **_base_figures(read.base, comments.base),
            "sentences_per_second": round(speed),
        }

    def transcripts(self, read: list[Transcript]) -> dict[str, Any]:
        """Return the figures on transcripts: line by line, with context, with a wrong one.

        The wrong context is a line's own transcript in shuffled order: what context gives
        beyond the transcript's general tone shows in the difference.
        """
        ways: dict[str, list[Probabilities]] = {"alone": [], "in_order": [], "shuffled": []}
        for transcript in read:
            pooled = self._runtime.encode(transcript.texts)
            vectors = features(transcript.texts)
            ways["alone"].append(self._read(pooled, vectors, in_order=False))
            ways["in_order"].append(self._read(pooled, vectors, in_order=True))
            ways["shuffled"].append(self._shuffled(pooled, vectors))
        sub = np.concatenate([transcript.sub for transcript in read])
        degree = np.concatenate([transcript.intensity for transcript in read])
        figures: dict[str, Any] = {
            name: _line_figures(_joined(parts), sub, degree) for name, parts in ways.items()
        }
        return {"transcripts": len(read), "lines": len(sub)} | figures

    def _read(
        self, pooled: NDArray[np.float32], vectors: NDArray[np.float32], *, in_order: bool
    ) -> Probabilities:
        logits = self._runtime.logits(pooled, vectors, in_order=in_order)
        return logits.calibrated(self._checkpoint.temperatures)

    def _shuffled(self, pooled: NDArray[np.float32], vectors: NDArray[np.float32]) -> Probabilities:
        order = np.random.default_rng(0).permutation(len(pooled))
        back = np.argsort(order)
        read = self._read(pooled[order], vectors[order], in_order=True)
        return Probabilities(*(part[back] for part in read))


def _base_figures(base: Floats, target: NDArray[np.float32]) -> dict[str, Any]:
    """Return the base-emotion figures on the rows that name one base emotion alone."""
    chosen = data.single_base(target)
    base, truth = base[chosen], target[chosen].argmax(axis=1)
    answer = base.argmax(axis=1)
    three = np.array([BASE_EMOTIONS.index(name) for name in THREE])
    of_three = np.isin(truth, three)
    restricted = three[base[of_three][:, three].argmax(axis=1)]
    return {
        "base_sentences": int(chosen.sum()),
        "base_accuracy": _figure(np.mean(answer == truth)),
        "base_macro_f1": _figure(_class_macro_f1(answer, truth, len(BASE_EMOTIONS))),
        "base_calibration_error": _figure(calibration_error(base.max(axis=1), answer == truth)),
        "three_emotions": list(THREE),
        "three_emotion_accuracy": _figure(np.mean(restricted == truth[of_three])),
    }


def _line_figures(
    read: Probabilities, sub: NDArray[np.int64], degree: NDArray[np.int64]
) -> dict[str, Any]:
    """Return the figures on transcript lines, each on the lines whose label is known."""
    known, graded = sub != UNKNOWN, degree != UNKNOWN
    truth = BASE_INDEX_OF_SUB[sub[known]]
    base = read.base[known]
    answer = base.argmax(axis=1)
    grade = read.intensity[graded].argmax(axis=1)
    return {
        "base_accuracy": _figure(np.mean(answer == truth)),
        "base_macro_f1": _figure(_class_macro_f1(answer, truth, len(BASE_EMOTIONS))),
        "base_calibration_error": _figure(calibration_error(base.max(axis=1), answer == truth)),
        "sub_accuracy": _figure(np.mean(read.sub[known].argmax(axis=1) == sub[known])),
        "intensity_accuracy": _figure(np.mean(grade == degree[graded])),
        "intensity_macro_f1": _figure(_class_macro_f1(grade, degree[graded], len(INTENSITIES))),
        "intensity_mean_distance": _figure(np.mean(np.abs(grade - degree[graded]))),
    }


def machine() -> dict[str, str]:
    """Return what the figures were measured on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": str(len(names)) if names else "unknown",
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
    }


def _class_macro_f1(answer: NDArray[np.int64], truth: NDArray[np.int64], classes: int) -> float:
    rows = np.eye(classes)
    return macro_f1(rows[answer].astype(bool), rows[truth])


def _joined(parts: list[Probabilities]) -> Probabilities:
    return Probabilities(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def _head(transcript: Transcript, count: int) -> Transcript:
    return Transcript(
        transcript.name,
        transcript.texts[:count],
        transcript.sub[:count],
        transcript.intensity[:count],
    )


def _figure(value: float | np.floating[Any]) -> float:
    return round(float(value), 4)
