"""The classify stage: sentences to predictions, through one classifier per process."""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ml.emotion.checkpoint import Checkpoint, identity
from ml.emotion.weights import config_of, resolve
from ml.options import ClassificationOptions, Device
from ml.stage import Context, Predictions, Sentences
from ml.text.features import require as require_features

if TYPE_CHECKING:
    from ml.emotion.classifier import Classifier


_LOADING = threading.Lock()


def load(model: str, threads: int, device: Device = "auto") -> Classifier:
    """Return this process's classifier, loaded once."""
    # The cache alone would load as many as there are threads that ask at first.
    with _LOADING:
        return _load(model, threads, device)


@lru_cache(maxsize=1)
def _load(model: str, threads: int, device: Device) -> Classifier:
    from ml.emotion.classifier import Classifier

    return Classifier(resolve(model), threads=threads, device=device)


def identity_of(options: ClassificationOptions) -> str:
    """Return what tells the checkpoint that the options name from any other, without loading it.

    ``config.json`` holds the digests of all other files that matter.
    """
    return identity(config_of(options.model).parent)


def classifier_of(options: ClassificationOptions) -> Classifier:
    """Return the classifier that the options name."""
    return load(options.model, options.threads, options.device)


def verify(options: ClassificationOptions) -> Checkpoint:
    """Return the checkpoint that the options name, read and verified, but with nothing run.

    Raises :class:`~ml.errors.ModelUnavailable` if a file is missing, damaged or a pickle, or
    if the options ask for features whose lexicon or tagger is not installed.
    """
    if options.features:
        require_features()
    return Checkpoint.load(resolve(options.model))


def classify(context: Context, said: Sentences) -> Predictions:
    """Classify the sentences as one conversation, in order.

    The conversation was found to be English. A sentence in it that is not, or may not be, is
    marked ``low_confidence``.
    """
    options = context.options.classification
    classifier = classifier_of(options)
    predictions = classifier.predict(
        [sentence.text for sentence in said.sentences],
        in_order=True,
        features=np.asarray(said.features, dtype=np.float32) if said.features else None,
        use_features=options.features,
        other_languages="mark",
        confidence_threshold=options.confidence_threshold,
        batch_size=options.batch_size,
        should_stop=context.check,
    )
    return Predictions(tuple(predictions), f"{classifier.name} {classifier.version}")
