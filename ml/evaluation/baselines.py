"""What the checkpoint is compared with: the majority class, and TF-IDF with logistic regression.

Each is learned from the training part of what it is tested on: GoEmotions' train split for
comments, the training transcripts for lines. Thresholds come from GoEmotions' dev split, by the
function that tunes the checkpoint's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from ml.corpora import data
from ml.corpora.data import BASE_INDEX_OF_SUB, UNKNOWN, LabelledTexts
from ml.emotion.probabilities import Floats
from ml.evaluation.answers import CommentAnswers, LineAnswers
from ml.evaluation.calibrate import tune_thresholds
from ml.evaluation.scores import Flags, Indices
from ml.taxonomy import BASE_EMOTIONS, INTENSITIES

_STRENGTH: Final = 1.0
"""scikit-learn's C; 4 gave the same on dev."""


class Majority:
    """Answers as if every text were the average one."""

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return nothing to tell texts apart by, ``(n, 1)``."""
        return np.zeros((len(texts), 1))

    def classes(self, rows: Any, truth: Indices, count: int) -> Callable[[Any], Floats]:
        """Learn a distribution over ``count`` classes."""
        shares = np.bincount(truth, minlength=count) / len(truth)
        return lambda others: np.tile(shares, (others.shape[0], 1))

    def labels(self, train: tuple[Any, Floats], dev: tuple[Any, Floats]) -> Callable[[Any], Flags]:
        """Learn the most frequent label of ``train``, and no other."""
        target = train[1]
        only = np.arange(target.shape[1]) == target.sum(axis=0).argmax()
        return lambda others: np.tile(only, (others.shape[0], 1))


class TfIdf:
    """TF-IDF over words and pairs of words, read by logistic regression, one a label."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._vectoriser = TfidfVectorizer(ngram_range=(1, 2), min_df=3, sublinear_tf=True)
        self._vectoriser.fit(texts)

    def vectors(self, texts: Sequence[str]) -> Any:
        """Return the TF-IDF rows of ``texts``, sparse."""
        return self._vectoriser.transform(texts)

    def classes(self, rows: Any, truth: Indices, count: int) -> Callable[[Any], Floats]:
        """Learn a distribution over ``count`` classes."""
        model = LogisticRegression(C=_STRENGTH, solver="newton-cg", tol=1e-3).fit(rows, truth)

        def read(others: Any) -> Floats:
            distribution = np.zeros((others.shape[0], count))
            distribution[:, model.classes_] = model.predict_proba(others)
            return distribution

        return read

    def labels(self, train: tuple[Any, Floats], dev: tuple[Any, Floats]) -> Callable[[Any], Flags]:
        """Learn each label for itself, and on ``dev`` the probability from which it counts."""
        rows, target = train
        models = [_one_label(rows, column) for column in target.T.astype(int)]

        def read(others: Any) -> Floats:
            return np.stack([model(others) for model in models], axis=1)

        thresholds = tune_thresholds(read(dev[0]), dev[1])
        return lambda others: read(others) >= thresholds


def _one_label(rows: Any, present: Indices) -> Callable[[Any], Floats]:
    """Learn the probability of one label; one that never varies is that sure."""
    if len(np.unique(present)) == 1:
        return lambda others: np.full(others.shape[0], float(present[0]))
    model = LogisticRegression(C=_STRENGTH, solver="liblinear").fit(rows, present)

    def read(others: Any) -> Floats:
        chances: Floats = model.predict_proba(others)[:, 1]
        return chances

    return read


def of_comments(
    folder: Path, texts: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, CommentAnswers]]:
    """Return by baseline and by name of ``texts`` what the baselines say of comments."""
    train, dev = data.goemotions(folder, "train"), data.goemotions(folder, "dev")
    return {
        "majority": _comments(Majority(), train, dev, texts),
        "tfidf": _comments(TfIdf(train.texts), train, dev, texts),
    }


def _comments(
    baseline: Majority | TfIdf,
    train: LabelledTexts,
    dev: LabelledTexts,
    texts: Mapping[str, Sequence[str]],
) -> dict[str, CommentAnswers]:
    rows = baseline.vectors(train.texts)
    labels = baseline.labels((rows, train.sub), (baseline.vectors(dev.texts), dev.sub))
    one = data.single_base(train.base)
    bases = baseline.classes(rows[one], train.base[one].argmax(axis=1), len(BASE_EMOTIONS))
    found = {name: baseline.vectors(these) for name, these in texts.items()}
    return {name: CommentAnswers(labels(these), bases(these)) for name, these in found.items()}


def of_lines(folder: Path, texts: Sequence[str]) -> dict[str, LineAnswers]:
    """Return by baseline what the baselines say of lines of transcripts, each for itself."""
    read = data.transcripts(folder, "train")
    learned = [text for transcript in read for text in transcript.texts]
    sub = np.concatenate([transcript.sub for transcript in read])
    degree = np.concatenate([transcript.intensity for transcript in read])
    return {
        name: _lines(baseline, learned, sub, degree, texts)
        for name, baseline in (("majority", Majority()), ("tfidf", TfIdf(learned)))
    }


def _lines(
    baseline: Majority | TfIdf,
    learned: Sequence[str],
    sub: Indices,
    degree: Indices,
    texts: Sequence[str],
) -> LineAnswers:
    rows, others = baseline.vectors(learned), baseline.vectors(texts)
    known, graded = sub != UNKNOWN, degree != UNKNOWN
    truth = BASE_INDEX_OF_SUB[sub[known]]
    return LineAnswers(
        baseline.classes(rows[known], truth, len(BASE_EMOTIONS))(others),
        baseline.classes(rows[graded], degree[graded], len(INTENSITIES))(others),
    )
