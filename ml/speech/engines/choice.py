"""The local recognisers by name: how to load one, and what tells its weights from others."""

from __future__ import annotations

from typing import Any

import numpy as np

from ml.options import TranscriptionOptions
from ml.source.wav import SAMPLE_RATE
from ml.speech.engines.engine import Engine


def load(options: TranscriptionOptions, model: str) -> Engine:
    """Return this process's engine for a model, loaded once.

    Raises:
        ModelUnavailable: the weights are missing or damaged.
        ExtraMissing: the library is not installed.

    """
    if options.method == "openai-whisper":
        from ml.speech.engines import openai_whisper

        return openai_whisper.load(model, options.threads)
    from ml.speech.engines import whisper

    return whisper.load(model, options.threads)


def identity(options: TranscriptionOptions, model: str) -> list[Any]:
    """Return what tells a model's weights and runtime from others; raises what ``load`` does."""
    if options.method == "openai-whisper":
        from ml.speech.engines import openai_whisper

        return openai_whisper.identity(model)
    from ml.speech.engines import weights

    return weights.identity(model)


def identity_of(options: TranscriptionOptions) -> list[Any]:
    """Return what tells what the options name from any other recogniser, without loading it."""
    if options.method == "assemblyai":
        return [options.method]
    aside = options.multilingual_model
    return [
        options.method,
        identity(options, options.model),
        identity(options, aside) if at_hand(options, aside) else None,
    ]


def at_hand(options: TranscriptionOptions, model: str) -> bool:
    """Whether a model can be loaded without asking the network."""
    if options.method == "openai-whisper":
        from ml.speech.engines import openai_whisper

        return openai_whisper.at_hand(model)
    from ml.speech.engines import weights

    return weights.installed(model) is not None


def warm(options: TranscriptionOptions) -> None:
    """Load the models and run them once, so that the first job does not wait for them."""
    silence = np.zeros(SAMPLE_RATE, np.float32)
    engine = load(options, options.model)
    engine.words([silence], language="en", beam_size=1, batch_size=1, advance=lambda done: None)
    aside = options.multilingual_model
    if options.language == "auto" and not engine.multilingual and at_hand(options, aside):
        load(options, aside).languages([silence])
