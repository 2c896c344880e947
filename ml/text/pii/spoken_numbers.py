"""Numbers as people say them: "double seven", "nineteen eighty two", "oh one two three".

:func:`number_at` reads one group of digits off a run of words, the way that a listener would
write it down: "twenty five" is 25, "five five" is 5 and 5, "eight hundred" is 800. How groups
join to a telephone number or a year is the business of ``ml.text.pii.writing``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

_UNITS: Final = {
    "zero": 0, "oh": 0, "o": 0, "nought": 0, "one": 1, "two": 2, "three": 3, "four": 4,
    "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
}  # fmt: skip
_TEENS: Final = {
    "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15,
    "sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19,
}  # fmt: skip
_TENS: Final = {
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70,
    "eighty": 80, "ninety": 90,
}  # fmt: skip
_TIMES: Final = {"double": 2, "triple": 3, "treble": 3, "quadruple": 4}
_SCALES: Final = {"thousand": 10**3, "million": 10**6, "billion": 10**9}
_WRITTEN: Final = re.compile(r"\+?\(?\d+\)?(?:-?\(?\d+\)?)*|\d{3}\.\d{3}\.\d{4}")
_SEPARATORS: Final = re.compile(r"[^\d+]")


def word_set(words: str) -> frozenset[str]:
    """Return the words of a list that is written as one string."""
    return frozenset(words.split())


class Number(NamedTuple):
    """A group of digits, as it was said or written."""

    digits: str
    """Perhaps with a plus sign in front."""
    end: int
    """Position after its last word."""
    amount: bool = False
    """Whether it stands alone, as "two million" and "two thousand" do: no digit follows."""


def number_at(words: Sequence[str], start: int) -> Number | None:
    """Read the number that begins at ``words[start]``, or None where none begins.

    ``words`` are in lower case and without punctuation around them; compounds such as
    "twenty-five" count as one word.
    """
    word = words[start]
    if _WRITTEN.fullmatch(word):
        return Number(_SEPARATORS.sub("", word), start + 1)
    if "-" in word:
        return _compound(word, start)
    following = word_at(words, start + 1)
    if word in _TIMES:
        unit = _unit(following)
        return Number(unit * _TIMES[word], start + 2) if unit else None
    return _spoken(words, start)


def _unit(word: str) -> str:
    """Return the digit that a word names, or nothing."""
    if len(word) == 1 and word.isdecimal():
        return word
    return str(_UNITS[word]) if word in _UNITS else ""


def _compound(word: str, start: int) -> Number | None:
    """Read "twenty-five" or "five-five-five"."""
    parts = word.split("-")
    digits, position = "", 0
    while position < len(parts):
        number = number_at(parts, position) if parts[position] else None
        if number is None:
            return None
        digits, position = digits + number.digits, number.end
    return Number(digits, start + 1)


def _spoken(words: Sequence[str], start: int) -> Number | None:
    section = _section(words, start)
    if section is None:
        return None
    total, (value, end) = 0, section
    if word_at(words, end) not in _SCALES:
        return Number(_digits(value, words[start]), end)
    while word_at(words, end) in _SCALES:
        total, end = total + value * _SCALES[words[end]], end + 1
        rest = _section(words, end + (word_at(words, end) == "and"))
        value, end = rest or (0, end)
    return Number(str(total + value), end, amount=True)


def _section(words: Sequence[str], start: int) -> tuple[int, int] | None:
    """Read what is below a thousand: the value, and where it ends."""
    small = _below_hundred(words, start)
    if small is None:
        return None
    value, end = small
    if word_at(words, end) == "hundred" and value:
        return _plus_rest(words, value * 100, end + 1)
    return value, end


def _digits(value: int, first: str) -> str:
    return f"0{value}" if first in ("oh", "o") and value > 9 else str(value)


def _below_hundred(words: Sequence[str], start: int) -> tuple[int, int] | None:
    """Read "seven", "seventeen", "seventy" or "seventy seven": the value, and where it ends."""
    word = word_at(words, start)
    if word in _UNITS or word in _TEENS:
        return _UNITS.get(word, _TEENS.get(word, 0)), start + 1
    if word not in _TENS:
        return None
    unit = _UNITS.get(word_at(words, start + 1), 0)
    return (_TENS[word] + unit, start + 2) if unit else (_TENS[word], start + 1)


def _plus_rest(words: Sequence[str], value: int, end: int) -> tuple[int, int]:
    """Add "and twenty" to "five hundred".

    In "eight hundred five five five" nothing is added: further digits follow, so that each
    group stands for itself.
    """
    rest_start = end + 1 if word_at(words, end) == "and" else end
    rest = _below_hundred(words, rest_start)
    if rest is None:
        return value, end
    added, rest_end = rest
    if rest_start == end and _below_hundred(words, rest_end) is not None:
        return value, end
    return value + added, rest_end


def word_at(words: Sequence[str], position: int) -> str:
    """Return the word at a position, or nothing beyond the end."""
    return words[position] if position < len(words) else ""
