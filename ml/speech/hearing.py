"""Hearing: from regions of speech to words, with a second try where nothing was understood.

A decoder that is given half a minute sometimes stops early, gets caught in a loop or loses its
way, and the rest of the window is lost. The voice activity tells where somebody spoke: speech
without words is heard again, in shorter windows, which go wrong less often.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.results import Word
from ml.speech.activity import FRAME_SECONDS, MAX_REGION_SECONDS, speech_regions
from ml.speech.engines.engine import Engine
from ml.speech.windows import Timed, Window, pack
from ml.stage import Passage, Span

Samples = npt.NDArray[np.float32]

WINDOW_SECONDS = MAX_REGION_SECONDS + 1.0
SECOND_WINDOW_SECONDS = 10.0
"""Of the second try."""
MISSED_SECONDS = 1.0
"""So much speech without a word is heard again. Shorter stretches are mostly breath."""
_SPEECH = 0.5
_MARGIN_SECONDS = 0.3
"""A word's times are this exact at best."""
_LONGEST_WORD_SECONDS = 1.5
"""A longer word has swallowed its neighbours: only its ends count as heard."""
_SAME_WORD_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Listener:
    """An engine, and how to ask it."""

    engine: Engine
    language: str
    beam_size: int
    batch_size: int

    def hear(
        self,
        audio: Samples,
        speech: npt.NDArray[np.float32],
        advance: Callable[[float], None] = lambda fraction: None,
    ) -> list[Word]:
        """Return the words of some samples at 16 kHz, in order of time.

        ``speech`` is the probability of speech for each frame. ``advance`` is called with the
        fraction that is done, at the end more than once; what it raises ends the hearing.
        """
        words = self.words_in(audio, windows_of(speech), advance)
        missed = unheard(words, speech)
        if missed:
            again = pack(missed, SECOND_WINDOW_SECONDS)
            words = merged(words, self.words_in(audio, again, lambda fraction: advance(1.0)))
        return words

    def words_in(
        self, audio: Samples, windows: Sequence[Window], advance: Callable[[float], None]
    ) -> list[Word]:
        """Return the words in some windows; ``advance`` as for :meth:`hear`."""
        return self._placed(self.engine.words, audio, windows, advance)

    def passages_in(
        self, audio: Samples, windows: Sequence[Window], advance: Callable[[float], None]
    ) -> list[Passage]:
        """Return in English what is said in some windows; ``advance`` as for :meth:`hear`."""
        return self._placed(self.engine.translate, audio, windows, advance)

    def _placed(
        self,
        hear: Callable[..., list[list[Timed]]],
        audio: Samples,
        windows: Sequence[Window],
        advance: Callable[[float], None],
    ) -> list[Timed]:
        heard = hear(
            [window.samples(audio) for window in windows],
            language=self.language,
            beam_size=self.beam_size,
            batch_size=self.batch_size,
            advance=lambda done: advance(done / len(windows)),
        )
        pairs = zip(windows, heard, strict=True)
        return [one for window, said in pairs for one in window.placed(said)]


def windows_of(speech: npt.NDArray[np.float32]) -> list[Window]:
    """Return the windows in which a recording is heard first."""
    return pack(speech_regions(speech), WINDOW_SECONDS)


def unheard(words: Sequence[Word], speech: npt.NDArray[np.float32]) -> list[Span]:
    """Return the stretches in which somebody speaks, but no word was heard."""
    left = speech.copy()
    for word in words:
        for start, end in _heard(word):
            first = max(0, int((start - _MARGIN_SECONDS) / FRAME_SECONDS))
            left[first : int((end + _MARGIN_SECONDS) / FRAME_SECONDS) + 1] = 0.0
    spoken = np.concatenate([[0.0], np.cumsum(left >= _SPEECH)]) * FRAME_SECONDS
    found: list[Span] = []
    for region in speech_regions(left):
        first, last = round(region.start / FRAME_SECONDS), round(region.end / FRAME_SECONDS)
        if spoken[last] - spoken[first] >= MISSED_SECONDS:
            found.append(region)
    return found


def _heard(word: Word) -> list[tuple[float, float]]:
    if word.end - word.start <= _LONGEST_WORD_SECONDS:
        return [(word.start, word.end)]
    half = _LONGEST_WORD_SECONDS / 2
    return [(word.start, word.start + half), (word.end - half, word.end)]


def merged(words: Sequence[Word], again: Sequence[Word]) -> list[Word]:
    """Return both in order of time, without a word that was heard from both sides of a cut."""
    first = sorted(words, key=lambda word: word.start)
    starts = [word.start for word in first]
    new: list[Word] = []
    for word in again:
        place = bisect(starts, word.start)
        beside = first[max(0, place - 1) : place + 1]
        if not any(_same(*sorted((word, other), key=_start)) for other in beside):
            new.append(word)
    return sorted([*first, *new], key=_start)


def _start(word: Word) -> float:
    return word.start


def _same(before: Word, after: Word) -> bool:
    close = after.start - before.end < _SAME_WORD_SECONDS
    return close and _bare(before.text) == _bare(after.text)


def _bare(text: str) -> str:
    return "".join(c for c in text.lower() if c.isalnum())
