"""What an engine has heard: the words of one stretch of audio, whoever recognised them."""

from __future__ import annotations

from dataclasses import dataclass

from ml.results import Word
from ml.stage import Span


@dataclass(frozen=True, slots=True)
class Heard:
    """What every engine returns."""

    language: str
    """ISO 639-1 code of what is spoken."""
    language_probability: float | None
    """None where the language was given or assumed, not detected."""
    words: tuple[Word, ...]
    """In the order they were spoken; times in seconds from the start of the audio."""
    model: str
    """Name and version of the recogniser."""
    redacted: tuple[Span, ...] = ()
    """Where something was said that the words leave out, if the engine itself redacts."""
