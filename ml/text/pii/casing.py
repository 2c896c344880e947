"""Capitals for transcripts that have none, so that names can be told from other words.

The model that finds names was trained on text with capitals: in lower case it finds half of
them. The byte-pair vocabulary of Whisper's tokenizer knows how words are mostly written: its
pieces are numbered by how often they occur, so where " Paris" has a lower number than " paris",
the word is mostly a name. Rare words are in it neither way, and as often as not are names too.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Final

from ml.speech.engines.weights import resolve
from ml.text.pii.writing import PLACEHOLDER, TAG

_MODEL: Final = "tiny.en"
_SPACE: Final = "\u0120"
"""What stands for a space in the vocabulary."""
_RARE: Final = 1_000_000
_MIN_LETTERS: Final = 3
_MIN_SHARE: Final = 0.02
_MAX_SHARE: Final = 0.9
_WORD: Final = re.compile(r"[^\W\d_]+")
_LONGER_WORD: Final = re.compile(r"[^\W\d_]{2,}")
_UNTOUCHED: Final = re.compile(rf"({PLACEHOLDER.pattern}|\S*[@/.]\w\S*|\S*\d\S*)")


def is_cased(text: str) -> bool:
    """Whether some words of ``text``, but not nearly all, begin with a capital."""
    words = _LONGER_WORD.findall(TAG.sub("", text))
    share: float = sum(word[0].isupper() for word in words) / max(1, len(words))
    return _MIN_SHARE < share < _MAX_SHARE


def with_capitals(text: str) -> str:
    """Return ``text`` with capitals where a name may be; its length does not change.

    Addresses, codes and placeholders stay as they are.
    """
    parts = _UNTOUCHED.split(text)
    parts[::2] = [_WORD.sub(lambda match: _likely(match[0]), part) for part in parts[::2]]
    return "".join(parts)


def _likely(word: str) -> str:
    """Return a word as it is mostly written."""
    ranks, lower = _ranks(), word.lower()
    if len(lower) != len(word):
        return word
    small = ranks.get(_SPACE + lower, _RARE)
    capital = ranks.get(_SPACE + lower.capitalize(), _RARE)
    rare = small == capital and len(word) >= _MIN_LETTERS
    return lower.capitalize() if capital < small or rare else lower


@cache
def _ranks() -> dict[str, int]:
    path = resolve(_MODEL).directory / "tokenizer.json"
    ranks: dict[str, int] = json.loads(path.read_text(encoding="utf-8"))["model"]["vocab"]
    return ranks
