"""From what a Whisper decoder gives to words: what to believe, and where a word ends.

Shared by the engines, so that they differ as their models and decoders do and in nothing else.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ml.results import Word
from ml.text.language import UNSPACED_LANGUAGES

NO_SPEECH_PROBABILITY = 0.6
MIN_LOG_PROBABILITY = -1.0
"""Segments below it, or probably without speech and below half of it, are made up."""
SHORTEST_WORD_SECONDS = 0.06
SECONDS_PER_LETTER = 0.06
"""As people speak, about: it is used only where the alignment gives a word no length."""
MAX_COMPRESSION = 2.4
"""Text that zlib shrinks further than this repeats itself (the threshold of Whisper's authors)."""
MAX_SQUEEZED = 0.3
"""Share of words without length, above which text that repeats itself is a decoder's loop."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A word or a part of one, as Whisper's alignment gives it."""

    text: str
    """Begins with a space where a new word begins."""
    start: float
    """In seconds from the window's start, as is ``end``."""
    end: float
    probability: float


def plausible(no_speech_probability: float, mean_log_probability: float) -> bool:
    """Say whether a decoded segment is believed.

    ``mean_log_probability`` is that of its tokens, the natural logarithm.
    """
    if no_speech_probability > NO_SPEECH_PROBABILITY:
        return mean_log_probability > MIN_LOG_PROBABILITY / 2
    return mean_log_probability > MIN_LOG_PROBABILITY


def repeats(text: str) -> bool:
    """Whether a text says the same over and over, as singers do, and decoders in a loop."""
    data = text.encode()
    return len(data) > MAX_COMPRESSION * len(zlib.compress(data))


def looped(pieces: Sequence[Piece]) -> bool:
    """Whether repeated words come from a loop: then there is no sound for most of them.

    What is really said over and over takes its time each time.
    """
    if not repeats("".join(piece.text for piece in pieces)):
        return False
    squeezed = sum(piece.end - piece.start < SHORTEST_WORD_SECONDS for piece in pieces)
    return squeezed > MAX_SQUEEZED * len(pieces)


def joined(pieces: Iterable[Piece], end: float, language: str = "en") -> list[Word]:
    """Return whole words, each from where the one before ends or later, none beyond ``end``.

    Whisper gives "twenty" and "-one" where people say one word; its probability is then the
    least of the two.
    """
    spaced = language not in UNSPACED_LANGUAGES
    words: list[Word] = []
    for piece in pieces:
        text = piece.text.strip()
        if not text:
            continue
        start = min(max(piece.start, words[-1].end if words else 0.0), end)
        stop = max(min(piece.end, end), start)
        if words and _continues(piece.text, spaced):
            last = words[-1]
            # A comma's place in the alignment is the pause after the word.
            least = min(last.probability, piece.probability)
            spoken = any(c.isalnum() for c in text)
            until, probability = (stop, least) if spoken else (last.end, last.probability)
            words[-1] = Word(last.text + text, last.start, until, probability)
        else:
            words.append(Word(text, start, stop, piece.probability))
    return _widened(words, end)


def _continues(text: str, spaced: bool) -> bool:
    """Whether a piece belongs to the word before it."""
    if not any(c.isalnum() for c in text):
        return not text.startswith(" ")
    return spaced and not text.startswith(" ")


def _widened(words: list[Word], end: float) -> list[Word]:
    """Give words without length the free time around them, as much as such words take.

    The alignment puts several tokens at one moment where it cannot tell them apart.
    """
    widened: list[Word] = []
    for number, word in enumerate(words):
        wanted = SECONDS_PER_LETTER * len(word.text) - (word.end - word.start)
        if wanted <= 0 or word.end - word.start >= SHORTEST_WORD_SECONDS:
            widened.append(word)
            continue
        floor = widened[-1].end if widened else 0.0
        ceiling = words[number + 1].start if number + 1 < len(words) else end
        start = max(floor, word.start - wanted)
        if start == ceiling and widened:
            # No room at all: it shares what its predecessor has.
            last = widened[-1]
            start = last.start + (last.end - last.start) * len(last.text) / (
                len(last.text) + len(word.text)
            )
            widened[-1] = Word(last.text, last.start, start, last.probability)
        stop = min(ceiling, word.end + max(0.0, wanted - (word.start - start)))
        widened.append(Word(word.text, start, max(stop, start), word.probability))
    return widened
