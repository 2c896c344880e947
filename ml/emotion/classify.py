"""The classify stage: sentences to predictions, through one classifier per process."""

from __future__ import annotations

import threading
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ml.emotion.checkpoint import identity
from ml.options import ClassificationOptions
from ml.stage import Context, Predictions, Sentences

if TYPE_CHECKING:
    from ml.emotion.classifier import Classifier


_LOADING = threading.Lock()


def _folder(model: str) -> Path | None:
    return None if model == "default" else Path(model)


def load(model: str, threads: int) -> Classifier:
    """Return this process's classifier, loaded once."""
    # The cache alone would load as many as there are threads that ask at first.
    with _LOADING:
        return _load(model, threads)


@lru_cache(maxsize=1)
def _load(model: str, threads: int) -> Classifier:
    from ml.emotion.classifier import Classifier

    return Classifier(_folder(model), threads=threads)


def identity_of(options: ClassificationOptions) -> str:
    """Return the digest of the checkpoint that the options name, without loading it."""
    return identity(_folder(options.model))


def classifier_of(options: ClassificationOptions) -> Classifier:
    """Return the classifier that the options name."""
    return load(options.model, options.threads)


def classify(context: Context, said: Sentences) -> Predictions:
    """Classify the sentences as one conversation, in order."""
    options = context.options.classification
    classifier = classifier_of(options)
    predictions = classifier.predict(
        [sentence.text for sentence in said.sentences],
        in_order=True,
        features=np.asarray(said.features, dtype=np.float32) if said.features else None,
        use_features=options.features,
        confidence_threshold=options.confidence_threshold,
        batch_size=options.batch_size,
        should_stop=context.check,
    )
    return Predictions(tuple(predictions), f"{classifier.name} {classifier.version}")
