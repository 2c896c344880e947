"""The part of a text that features and terms are read from, and its words."""

from __future__ import annotations

import re
from typing import Final

MAX_WORDS: Final = 256
"""Features and terms read this many words of a text; the encoder reads fewer."""
MAX_CHARACTERS: Final = 2_048
"""And this many characters."""
MAX_WORD_CHARACTERS: Final = 64
"""And this many of a run without a space: spaCy's time grows with the square of its length."""

_WORD: Final = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
_APOSTROPHES: Final = str.maketrans({"\u2019": "'", "\u02bc": "'", "\uff07": "'"})


def opening(text: str) -> str:
    """Return the start of ``text``, at most :data:`MAX_WORDS` words, in plain form.

    White space becomes single spaces, curly apostrophes straight ones, and lone surrogates,
    which no UTF-8 can hold, the replacement character.
    """
    runs = text.split(None, MAX_WORDS)[:MAX_WORDS]
    read = " ".join([run[:MAX_WORD_CHARACTERS] for run in runs])[:MAX_CHARACTERS]
    if read.isascii():
        return read
    return _SURROGATES.sub("\ufffd", read.translate(_APOSTROPHES))


def words_of(plain: str) -> list[str]:
    """Return the words of a text in plain form; "don't" is one word, digits are none."""
    return _WORD.findall(plain)
