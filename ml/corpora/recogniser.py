"""Written text as a speech recogniser would give it.

What the classifier meets in life is speech that a machine wrote down. Good recognisers write
sentences as people do; others give lower case without punctuation, and all of them mishear,
repeat and break off. Training sees both kinds, and the evaluation measures both.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import numpy as np

_WORD: Final = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_DROPPED: Final = 0.03
_REPEATED: Final = 0.02
_MISHEARD: Final = 0.06
_FILLED: Final = 0.03
_BROKEN_OFF: Final = 0.1
_FILLERS: Final = ("um", "uh", "like", "you know", "i mean", "so", "well")
_SOUND_ALIKE: Final = (
    ("there", "their", "they're"),
    ("your", "you're"),
    ("its", "it's"),
    ("to", "too", "two"),
    ("then", "than"),
    ("here", "hear"),
    ("know", "no"),
    ("right", "write"),
    ("are", "our"),
    ("whose", "who's"),
    ("were", "we're", "where"),
    ("by", "buy", "bye"),
    ("for", "four"),
    ("son", "sun"),
    ("weak", "week"),
    ("would", "wood"),
    ("new", "knew"),
    ("want to", "wanna"),
    ("going to", "gonna"),
)
_HEARD_AS: Final = {word: group for group in _SOUND_ALIKE for word in group}


def plain(text: str) -> str:
    """Return ``text`` in lower case without punctuation; only apostrophes within words stay.

    A text without a word, such as an emoji alone, comes back as it is.
    """
    words = _WORD.findall(text.lower().replace("\u2019", "'"))
    return " ".join(words) if words else text


def misheard(text: str, generator: np.random.Generator) -> str:
    """Return :func:`plain` with the errors of a recogniser and of a speaker.

    Words are dropped, repeated, taken for others that sound alike, or preceded by a filler;
    one text in ten breaks off.
    """
    if not _WORD.search(text):
        return text
    words = plain(text).split()
    if len(words) >= 6 and generator.random() < _BROKEN_OFF:
        words = words[: generator.integers(len(words) * 2 // 3, len(words))]
    chance = generator.random((len(words), 4))
    heard: list[str] = []
    for word, (drop, repeat, swap, fill) in zip(words, chance, strict=True):
        if drop < _DROPPED and len(words) > 3:
            continue
        if fill < _FILLED:
            heard.append(str(generator.choice(_FILLERS)))
        group = _HEARD_AS.get(word)
        said = str(generator.choice(group)) if group and swap < _MISHEARD else word
        heard += [said, said] if repeat < _REPEATED else [said]
    return " ".join(heard)


def as_heard(texts: Sequence[str], seed: int) -> tuple[str, ...]:
    """Return every text as a recogniser might give it, about half of them with errors."""
    generator = np.random.default_rng(seed)
    return tuple(
        misheard(text, generator) if generator.random() < 0.5 else plain(text) for text in texts
    )
