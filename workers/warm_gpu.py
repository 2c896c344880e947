"""Loads the models in each child of a GPU worker, before its first step."""

from __future__ import annotations

import time

import structlog

from app.settings import Settings

log = structlog.get_logger(__name__)


def warm() -> None:
    """Load and run each model once. A recogniser that is missing is reported by the first step."""
    from ml.emotion import classify
    from ml.speech.engines import choice

    options = Settings.load().pipeline_options()
    started = time.monotonic()
    if options.transcription.method != "assemblyai":
        choice.warm(options.transcription)
    classifier = classify.classifier_of(options.classification)
    # The first sentence also loads what tells languages apart, and what describes sentences.
    classifier.predict(
        ["This is read before anybody waits for it."],
        use_features=options.classification.features,
        other_languages="mark",
    )
    log.info("models.warm", seconds=round(time.monotonic() - started, 1))
