"""Loads what reads text in each child of a CPU worker, before its first step."""

from __future__ import annotations

from app.settings import Settings


def warm() -> None:
    """Read one sentence, so that the first job does not wait for dictionaries."""
    from ml.text.language import require_english
    from ml.text.sentences import sentences_of_text

    text = "This is a sentence, and it is read before anybody waits for it."
    require_english(text)
    sentences = sentences_of_text(text)
    if Settings.load().pipeline_options().classification.features:
        from ml.text.features import features

        features(list(sentences))
