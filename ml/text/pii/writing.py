"""What was said, as one would write it: the form in which personal data is looked for.

"john dot smith at gmail dot com" becomes ``john.smith@gmail.com``, "five five five oh one two
three" ``555-0123``. Each piece of the written form knows the words that it came from, so that
whatever is found in it can be told by its words, and with them by its times.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from ml.options import PII_POLICIES
from ml.text.pii.spoken_internet import address_at
from ml.text.pii.spoken_numbers import Number, number_at, word_set
from ml.text.sentences import MAX_WORD_CHARACTERS

MIN_IDENTIFIER_DIGITS: Final = 7
"""Shorter runs of digits are quantities, years and house numbers: their groups stay apart."""
MAX_IDENTIFIER_DIGITS: Final = 40
"""Longer ones are nobody's number, as when somebody recites pi."""

PLACEHOLDER: Final = re.compile(rf"\[(?:{'|'.join(PII_POLICIES).upper()})\]")
"""What stands for something that was redacted before."""
TAG: Final = re.compile(r"\[[^\W\d]\w*\]")
"""What is no speech: a placeholder, "[LAUGHS]" or "[SPEAKER_01]"."""

_GLUED: Final = re.compile(rf"(?<=\w)(?={TAG.pattern})|(?<=\])(?=\w)")
_AROUND: Final = re.compile(
    rf"^((?:{TAG.pattern}|[^\w+@/\[])*)(.*?)((?:{TAG.pattern}|[^\w\]/])*)$", re.DOTALL
)
_CURLY: Final = str.maketrans({"\u2019": "'", "\u2011": "-", "\u2013": "-"})
_YEAR: Final = re.compile(r"(?:19|20)\d\d")
_ISO_DATE: Final = re.compile(r"(?:19|20)\d\d-\d\d-\d\d")
FILLERS: Final = word_set("um uh er okay ok yeah right then dash hyphen")
"""What may stand between the digits of a number."""
_MAX_FILLERS: Final = 2
_LOCAL_NUMBER: Final = 7
_LETTER_O: Final = ("o", "oh")
"""A zero among other digits, else a letter or an exclamation."""
_MIN_COUNTED: Final = 4
_MAX_SPELLED: Final = 2
"""Longest run of letters that counts as spelled: "G", "GB"."""
_IBAN: Final = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}")
"""International bank account numbers, by ISO 13616."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the written form, and its words ``first`` to ``last``."""

    text: str
    """Without spaces but for those that part a word from the tag it was glued to."""
    first: int
    last: int
    """Position after the last of its words."""


class Written:
    """Pieces as one text, joined by single spaces."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self.pieces: Final = pieces
        self.text: Final = " ".join(piece.text for piece in pieces)
        self._starts: Final = [0]
        for piece in pieces[:-1]:
            self._starts.append(self._starts[-1] + len(piece.text) + 1)

    def at(self, character: int) -> tuple[int, int]:
        """Return which piece holds a character of the text, and where in it."""
        number = bisect_right(self._starts, character) - 1
        return number, character - self._starts[number]


def written(words: Sequence[str]) -> list[Piece]:
    """Return the pieces of what was said, in order; every word belongs to exactly one.

    ``words`` hold no white space and are not empty. Of an endless one the beginning is read:
    spaCy's time grows with the square of its length.
    """
    words = [_GLUED.sub(" ", word[:MAX_WORD_CHARACTERS]) for word in words]
    bare = [bare_word(word) for word in words]
    pieces: list[Piece] = []
    position = 0
    while position < len(words):
        made = (
            _address(words, bare, pieces, position)
            or _code(words, bare, position)
            or list(_numbers(words, bare, position))
        )
        pieces += made or [Piece(words[position], position, position + 1)]
        position = pieces[-1].last
    return pieces


def bare_word(word: str) -> str:
    """Return a word in lower case without the punctuation and the tags around it."""
    match = _AROUND.match(word.translate(_CURLY))
    return match[2].lower() if match else word


def _address(
    words: Sequence[str], bare: Sequence[str], pieces: list[Piece], position: int
) -> list[Piece]:
    """Write an e-mail, web or network address whose "at" or first "dot" stands at a position.

    Its beginning lies in pieces that were written already; those are taken back.
    """
    address = address_at(words, bare, position)
    if address is None:
        return []
    while pieces and pieces[-1].last > address.start:
        pieces.pop()
    gap = pieces[-1].last if pieces else 0
    pieces += [Piece(words[n], n, n + 1) for n in range(gap, address.start)]
    return [dressed(words, address.text, address.start, address.end)]


def _code(words: Sequence[str], bare: Sequence[str], position: int) -> list[Piece]:
    """Write a bank account number of letters and digits that is spelled from a position on."""
    if not (len(bare[position]) in (1, 2) and bare[position].isalpha()):
        return []
    text, following = "", position
    while following < len(bare) and len(text) < MAX_IDENTIFIER_DIGITS:
        number = number_at(bare, following)
        if number is None and len(bare[following]) > _MAX_SPELLED:
            break
        text += number.digits if number else bare[following].upper()
        following = number.end if number else following + 1
    return [dressed(words, text, position, following)] if is_iban(text) else []


def is_iban(text: str) -> bool:
    """Whether a text has the form and the check digits (ISO 7064, modulus 97) of an IBAN."""
    moved = text[4:] + text[:4]
    return bool(_IBAN.fullmatch(text)) and int("".join(str(int(c, 36)) for c in moved)) % 97 == 1


def _numbers(words: Sequence[str], bare: Sequence[str], position: int) -> Iterator[Piece]:
    """Write the run of numbers that begins at a position: one identifier, or group by group."""
    run = number_run(bare, position)
    if not run or (len(run) == 1 and bare[position] in _LETTER_O):
        return
    start = position
    digits = "".join(number.digits for number in run)
    if len(run) > 1 and _is_identifier(run, digits):
        if len(digits) == _LOCAL_NUMBER:
            digits = f"{digits[:3]}-{digits[3:]}"
        yield dressed(words, digits, position, run[-1].end)
        return
    for group in _groups(words, run, start):
        first = start
        start = group[-1].end
        spoken = not (len(group) == 1 and bare[first][:1] in "+(0123456789" and start == first + 1)
        text = "".join(number.digits for number in group)
        if spoken and _is_readable(text, group[0].amount):
            yield dressed(words, text, first, start)
        else:
            yield from (Piece(words[n], n, n + 1) for n in range(first, start))


def number_run(bare: Sequence[str], position: int) -> list[Number]:
    """Return the consecutive numbers from a position on, fillers between them left out."""
    run: list[Number] = []
    following = position
    while following < len(bare) and (number := number_at(bare, following)):
        if run and (number.amount or run[-1].amount or _ISO_DATE.fullmatch(bare[following])):
            break
        run.append(number)
        following = number.end
        for _ in range(_MAX_FILLERS):
            following += following < len(bare) and bare[following] in FILLERS
    return run


def _is_identifier(run: Sequence[Number], digits: str) -> bool:
    if not MIN_IDENTIFIER_DIGITS <= len(digits) <= MAX_IDENTIFIER_DIGITS:
        return False
    years = all(_YEAR.fullmatch(number.digits) for number in run)
    steps = [int(b.digits) - int(a.digits) for a, b in pairwise(run)]
    counting = len(run) > _MIN_COUNTED and steps.count(1) + 1 >= len(steps)
    return not years and not counting


def _is_readable(text: str, amount: bool) -> bool:
    return bool(_YEAR.fullmatch(text)) if amount else len(text) < MIN_IDENTIFIER_DIGITS


def _groups(words: Sequence[str], run: Sequence[Number], start: int) -> Iterator[list[Number]]:
    """Cut a run behind words with punctuation, fillers, and numbers that were written."""
    group: list[Number] = []
    for number in run:
        if group and (
            start != group[-1].end or not words[start - 1].isalpha() or words[start].isdecimal()
        ):
            yield group
            group = []
        group.append(number)
        start = number.end
    yield group


def dressed(words: Sequence[str], text: str, first: int, last: int) -> Piece:
    """Put the punctuation before the first and after the last of some words around a new text."""
    opening, closing = _AROUND.match(words[first]), _AROUND.match(words[last - 1])
    before = opening[1] if opening else ""
    after = closing[3] if closing else ""
    if before.endswith("(") and ")" not in after:
        before = before[:-1]
    return Piece(f"{before}{text}{after}", first, last)
