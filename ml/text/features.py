"""The feature engine: forty-two named linguistic features of one text, from its words alone.

Each feature is a number in 0..1 that a person can check by reading the text. Counts saturate:
``count / (count + 1)``, so that the first "never" says more than the fourth. Words are matched
without regard to case, because some recognisers write none, and a question is told by its
words as well as by its mark; only ``exclamation`` and ``pos_punct`` are zero on
a transcript without punctuation.

Three sources: this project's short lists and patterns, the NRC lexicon (``ml.text.lexicon``;
free for research only), and spaCy's tagger (``ml.text.tagger``). Both packages are loaded with
the first text, not with this module.

The vector's meaning is part of a checkpoint: a change of names, order or scaling is a new
:data:`FEATURES_VERSION`, and checkpoints name the version that they were trained on.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml.text import tagger as tagging
from ml.text.lexicon import EMOLEX, LISTS, meanings
from ml.text.questions import asks
from ml.text.tagger import POS_TAGS, tagger
from ml.text.words import opening, words_of

FEATURES_VERSION: Final = "1.1"
"""Version of the vector that :func:`features` returns."""

_PATTERNS: Final = ("length", "repetition", "question", "exclamation", "emphasis", "laughter")

FEATURE_NAMES: Final[tuple[str, ...]] = (
    *_PATTERNS,
    *LISTS,
    *(f"emolex_{emotion}" for emotion in EMOLEX),
    *(f"pos_{tag.lower()}" for tag in POS_TAGS),
)
"""The features in the order of the vector.

``length``
    logarithm of the number of words, 1 from 64 words on.
``repetition``
    part of the words that occurred before in the text.
``question``
    how many question marks, or, where there are fewer, how many questions the words ask
    ("what is it", "are you sure"), saturating.
``exclamation``
    how many exclamation marks, saturating.
``emphasis``
    how many words are in capitals and how many letters drawn out ("sooo"), saturating.
    Capitals do not count in a longer text that has no other letters, nor in a placeholder
    such as "[NAME]".
``laughter``
    how many times somebody laughs ("haha", "lol"), saturating.
``negation``
    how many words deny ("not", "never", "don't"), saturating.
``intensifier``
    how many words strengthen ("very", "so", "absolutely"), saturating.
``hedge``
    how many words weaken or doubt ("maybe", "think", "seems"), saturating.
``first_person``, ``second_person``
    how many words speak of the speaker ("I", "our") or to the listener ("you"), saturating.
``contrast``
    how many words turn against what was said ("but", "though"), saturating.
``courtesy``
    how many words thank, apologise, ask or wish well, saturating.
``interjection``
    how many exclaimed words ("oh", "wow", "ugh"), saturating.
``profanity``
    how many words swear or insult, saturating.
``emolex_anger`` to ``emolex_trust``
    how many words the NRC lexicon associates with that emotion or polarity, saturating.
``pos_adj`` to ``pos_x``
    part of the tokens that have this universal part of speech. Punctuation is a part of all
    tokens, every other one of those that are no punctuation, so that a transcript without
    punctuation has the same parts.
"""

_FIRST_COUNT: Final = FEATURE_NAMES.index("question")
_FIRST_LISTED: Final = len(_PATTERNS)
_FIRST_TAG: Final = _FIRST_LISTED + len(LISTS) + len(EMOLEX)
_PUNCTUATION: Final = POS_TAGS.index("PUNCT")
_LOG_OF_LONG: Final = math.log1p(64)
_CHUNK: Final = 1_024

_CAPITALS: Final = re.compile(r"(?<![\w'\[])[A-Z]{2,}(?![\w\]])")
_DRAWN_OUT: Final = re.compile(r"([^\W\d_])\1{2,}")
_LAUGHTER: Final = re.compile(
    r"\b(?:b?a)?(?:h+[aei]+){2,}h*\b|\b(?:ha|lo+l|lmf?ao+|rofl)\b|[\U0001f602\U0001f923]"
)


def features(texts: Sequence[str]) -> NDArray[np.float32]:
    """Return the feature vectors of ``texts``, ``(len(texts), len(FEATURE_NAMES))``.

    Any string will do; the empty one has the zero vector. Of a long text the first
    :data:`~ml.text.words.MAX_WORDS` words are read. A text's vector does not depend on the
    others, and neither does the memory that the call needs beside its result.

    Raises :class:`~ml.errors.ModelUnavailable` if the lexicon or the tagger is not installed.
    """
    columns_of, tag = meanings(), tagger()
    vectors = np.zeros((len(texts), len(FEATURE_NAMES)), np.float32)
    for start in range(0, len(texts), _CHUNK):
        plain = [_plain(text) for text in texts[start : start + _CHUNK]]
        chunk = vectors[start : start + _CHUNK]
        for row, text in zip(chunk, plain, strict=True):
            row[:_FIRST_TAG] = _counted(text, columns_of)
        counts = chunk[:, _FIRST_COUNT:_FIRST_TAG]
        counts /= counts + 1
        chunk[:, _FIRST_TAG:] = _shares(tag.counts(plain))
    return vectors


def require() -> None:
    """Raise :class:`~ml.errors.ModelUnavailable` if the lexicon or the tagger is not installed.

    Takes milliseconds: the tagger itself is loaded with the first text.
    """
    meanings()
    tagging.require()


def _plain(text: str) -> str:
    """Return what is read of ``text``; capitals throughout say nothing and become small."""
    plain = opening(text)
    if plain.isupper() and sum(len(word) > 1 for word in words_of(plain)) > 3:
        return plain.lower()
    return plain


def _counted(text: str, columns_of: Mapping[str, tuple[int, ...]]) -> list[float]:
    """Return the features before the parts of speech; counts are not saturated yet."""
    words = words_of(text)
    found = [0.0] * _FIRST_TAG
    spaced = " ".join(words).lower()
    lower = spaced.split(" ")
    for word in lower:
        for column in columns_of.get(word, ()):
            found[_FIRST_LISTED + column] += 1
    found[:_FIRST_LISTED] = (
        min(1.0, math.log1p(len(words)) / _LOG_OF_LONG),
        1 - len(set(lower)) / len(lower),
        max(text.count("?"), asks(spaced)),
        text.count("!"),
        len(_CAPITALS.findall(text)) + len(_DRAWN_OUT.findall(spaced)),
        len(_LAUGHTER.findall(text.lower())),
    )
    return found


def _shares(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Turn counts of parts of speech ``(n, 17)`` into shares."""
    total = counts.sum(axis=1, keepdims=True)
    punctuation = counts[:, [_PUNCTUATION]]
    shares: NDArray[np.float64] = counts / np.maximum(total - punctuation, 1)
    shares[:, [_PUNCTUATION]] = punctuation / np.maximum(total, 1)
    return shares
