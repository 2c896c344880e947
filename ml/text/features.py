"""The feature engine: named linguistic features of one sentence, from its plain text.

Each feature is a number in 0..1 that a person can check by reading the sentence. Counts
saturate: ``count / (count + 1)``, so that the first "never" says more than the fourth.
Word lists are matched without regard to case, because some recognisers write none; the
features that need case or punctuation are zero on such text, and the classifier learned to
do without any of them.

The vector's meaning is part of a checkpoint: a change of names, order or scaling is a new
:data:`FEATURES_VERSION`, and checkpoints name the version that they were trained on.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

FEATURES_VERSION: Final = "1.0"
"""Version of the vector that :func:`features` returns."""

_LEXICON: Final[dict[str, str]] = {
    "negation": "no not never none nothing nobody nowhere neither nor cannot without hardly",
    "intensifier": (
        "very really so too extremely absolutely totally completely incredibly utterly such "
        "deeply truly highly insanely super literally damn fucking freaking ever always"
    ),
    "hedge": (
        "maybe perhaps possibly probably might could seems seem somewhat rather fairly quite "
        "guess suppose think kinda sorta apparently almost roughly"
    ),
    "first_person": (
        "i me my mine myself we us our ours i'm i've i'll i'd we're we've we'll im ive"
    ),
    "second_person": "you your yours yourself you're you've you'll you'd u ur",
    "third_person": (
        "he she him her his hers they them their theirs he's she's they're they've himself"
    ),
    "question_word": "what why how who where when which whose whom what's who's how's where's",
    "contrast": "but however although though yet instead except despite still",
    "past_tense": "was were had did been used went said got wasn't weren't hadn't didn't",
    "future_tense": "will shall gonna going tomorrow soon hope wish i'll we'll won't",
    "courtesy": "thank thanks please sorry welcome congratulations congrats bless appreciate",
    "interjection": "oh wow ugh ah aw aww hey huh hmm whoa ouch yay yeah oops yikes god geez",
    "laughter": "haha hahaha hahahaha hehe lol lmao rofl ha",
    "profanity": (
        "fuck fucking fucked shit bullshit damn hell ass asshole bitch bastard crap idiot stupid"
    ),
}

FEATURE_NAMES: Final[tuple[str, ...]] = (
    "length",
    "question_mark",
    "exclamation",
    "trailing_off",
    "repetition",
    "elongation",
    "shouting",
    "emoji",
    *_LEXICON,
)
"""The features in the order of the vector.

``length``
    logarithm of the number of words, 1 from 64 words on.
``question_mark``, ``exclamation``
    how many of the marks there are, saturating.
``trailing_off``
    how many dots in a row or dashes at a break, saturating.
``repetition``
    part of the words that occurred before in the sentence.
``elongation``
    how many words hold a letter three times in a row ("sooo"), saturating.
``shouting``
    part of the words of two letters and more that are in capitals, 0 where all the text is.
``emoji``
    how many pictographs, saturating.
the rest
    how many words of the list of that name, saturating; ``negation`` also counts "n't".
"""

_COLUMN: Final = {name: column for column, name in enumerate(FEATURE_NAMES)}
_FIRST_LIST: Final = _COLUMN[next(iter(_LEXICON))]


def _columns_of_words() -> dict[str, tuple[int, ...]]:
    columns: dict[str, tuple[int, ...]] = {}
    for name, words in _LEXICON.items():
        for word in words.split():
            columns[word] = (*columns.get(word, ()), _COLUMN[name])
    return columns


_COLUMNS_OF: Final = _columns_of_words()
_WORD: Final = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_TRAILING: Final = re.compile(r"\.{2,}|\u2026|\s[-\u2013\u2014]+(?=\s|$)|\u2014")
_ELONGATED: Final = re.compile(r"([^\W\d_])\1\1", re.IGNORECASE)
_EMOJI: Final = re.compile(r"[\U0001f300-\U0001faff\u2600-\u27bf]")


def features(texts: Sequence[str]) -> NDArray[np.float32]:
    """Return the feature vectors of ``texts``, ``(len(texts), len(FEATURE_NAMES))``.

    Any string will do; the empty one has the zero vector.
    """
    vectors = np.zeros((len(texts), len(FEATURE_NAMES)), np.float32)
    for vector, text in zip(vectors, texts, strict=True):
        _fill(vector, text.replace("\u2019", "'"))
    return vectors


def _fill(vector: NDArray[np.float32], text: str) -> None:
    """Write the features of one text into ``vector``, which holds zeros."""
    words = _WORD.findall(text)
    for column, count in enumerate(_counts(words)):
        vector[_FIRST_LIST + column] = _saturating(count)
    vector[_COLUMN["question_mark"]] = _saturating(text.count("?"))
    vector[_COLUMN["exclamation"]] = _saturating(text.count("!"))
    vector[_COLUMN["trailing_off"]] = _saturating(len(_TRAILING.findall(text)))
    vector[_COLUMN["emoji"]] = _saturating(len(_EMOJI.findall(text)))
    vector[_COLUMN["elongation"]] = _saturating(sum(map(_is_elongated, words)))
    if words:
        vector[_COLUMN["length"]] = min(1.0, math.log1p(len(words)) / math.log1p(64))
        vector[_COLUMN["repetition"]] = 1 - len({word.lower() for word in words}) / len(words)
        vector[_COLUMN["shouting"]] = _shouting(words)


def _counts(words: Sequence[str]) -> list[int]:
    """Return how many of ``words`` stand in each list of the lexicon."""
    counts = [0] * len(_LEXICON)
    for word in words:
        lowered = word.lower()
        for column in _COLUMNS_OF.get(lowered, ()):
            counts[column - _FIRST_LIST] += 1
        if lowered.endswith("n't"):
            counts[_COLUMN["negation"] - _FIRST_LIST] += 1
    return counts


def _shouting(words: Sequence[str]) -> float:
    """Return the part of long enough words in capitals; text in capitals throughout has none."""
    long_enough = [word for word in words if len(word) > 1]
    capitals = sum(word.isupper() for word in long_enough)
    if capitals == len(long_enough) and capitals > 3:
        return 0.0
    return capitals / max(1, len(long_enough))


def _is_elongated(word: str) -> bool:
    return _ELONGATED.search(word) is not None


def _saturating(count: int) -> float:
    return count / (count + 1)
