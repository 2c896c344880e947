"""Which language is spoken, and which model understands it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.errors import LanguageUnsupported
from ml.options import TranscriptionOptions
from ml.speech.engines.choice import at_hand, load
from ml.speech.engines.engine import Engine
from ml.text.language import ENGLISH, name_of

SURE = 0.6
"""A recording counts as foreign only where another language is this probable."""
_CERTAIN = 0.9
"""Where the first window is English by this probability, no other is asked."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """The language of a recording, and the engine that hears it."""

    engine: Engine
    language: str
    """ISO 639-1."""
    probability: float | None
    """None where the language was given, or had to be assumed."""


def spoken(options: TranscriptionOptions, windows: Sequence[npt.NDArray[np.float32]]) -> Spoken:
    """Return what is spoken in a few windows of samples, and the engine for it.

    A model for English alone cannot tell languages apart; ``multilingual_model`` does it where
    it is at hand, and else English is assumed. The loading happens in the calling thread.

    Raises:
        LanguageUnsupported: another language than English, and no translation was asked for.
        ModelUnavailable: the weights are missing.
        ExtraMissing: the engine is not installed.

    """
    engine = load(options, options.model)
    if options.language != "auto":
        code: str = options.language
        return Spoken(_for(options, engine, code), code, None)
    judge = engine
    if not engine.multilingual:
        if not windows or not at_hand(options, options.multilingual_model):
            return Spoken(engine, ENGLISH, None)
        judge = load(options, options.multilingual_model)
    if not windows:
        return Spoken(engine, ENGLISH, None)
    language, probability = _detected(judge, windows)
    return Spoken(_for(options, engine, language), language, probability)


def _detected(judge: Engine, windows: Sequence[npt.NDArray[np.float32]]) -> tuple[str, float]:
    probabilities = judge.languages(windows[:1])
    # A song or a quotation at the beginning does not make a recording foreign.
    if probabilities.get(ENGLISH, 0.0) < _CERTAIN and len(windows) > 1:
        probabilities = judge.languages(windows)
    best = max(probabilities, key=lambda code: probabilities[code])
    if probabilities[best] < SURE:
        best = ENGLISH
    return best, probabilities.get(best, 0.0)


def _for(options: TranscriptionOptions, engine: Engine, language: str) -> Engine:
    """Return the engine that hears a language; raise LanguageUnsupported if none may."""
    if language == ENGLISH:
        return engine
    if not options.translate:
        raise LanguageUnsupported(
            f"The recording is in {name_of(language)}; the classifier reads English.",
            hint="Set `translate` to true (--translate) to have it translated first.",
        )
    return engine if engine.multilingual else load(options, options.multilingual_model)
