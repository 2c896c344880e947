"""Foreign speech in English, kept beside what was said.

The translator hears the same windows as the recogniser, because a sentence alone is too little
for it: Whisper's small models then often repeat the sentence instead of translating it. Its
own timestamps say which part of the window each English sentence stands for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from ml.results import Word
from ml.speech.hearing import Listener, windows_of
from ml.speech.windows import Window
from ml.stage import Passage, Span
from ml.text.utterances import joined_text, utterances

_PAD_SECONDS = 0.2
"""Heard before and after a sentence that is tried alone; its times are not that exact."""
_COVERED = 0.5


def translated(
    listener: Listener,
    audio: npt.NDArray[np.float32],
    speech: npt.NDArray[np.float32],
    words: Sequence[Word],
    advance: Callable[[float], None] = lambda fraction: None,
) -> list[Passage]:
    """Return what is said in English, in order, with times as those of ``words``.

    A sentence that the translator passed over is tried again alone, and where that gives
    nothing either it stands as it was said. ``advance`` is called with the fraction that is
    done; what it raises ends the translation.
    """
    found = listener.passages_in(audio, windows_of(speech), advance)
    missed = [said for said in utterances(words) if _covered(said, found) < _COVERED]
    windows = [Window((_around(said),)) for said in missed]
    alone = listener.passages_in(audio, windows, lambda fraction: advance(1.0))
    found += alone
    found += [
        Passage(said[0].start, said[-1].end, joined_text(said, listener.language), english=False)
        for said in missed
        if _covered(said, alone) < _COVERED
    ]
    return sorted(found, key=lambda passage: passage.start)


def _covered(said: Sequence[Word], passages: Sequence[Passage]) -> float:
    """Return the share of a sentence's time for which there is a translation."""
    start, end = said[0].start, said[-1].end
    shared = sum(max(0.0, min(p.end, end) - max(p.start, start)) for p in passages)
    return shared / max(end - start, 1e-3)


def _around(said: Sequence[Word]) -> Span:
    return Span(max(0.0, said[0].start - _PAD_SECONDS), said[-1].end + _PAD_SECONDS)
