"""Numbers that the cut between two parts of a recording goes through.

Each part is redacted alone, and half a telephone number looks like none. So digits that reach
the edge of a part, where the recording goes on beyond it, are taken for a part of a number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from ml.options import PiiPolicy
from ml.text.pii.finders import CUES, REACH_WORDS, UNITS
from ml.text.pii.spoken_numbers import Number, word_at
from ml.text.pii.writing import FILLERS, MAX_IDENTIFIER_DIGITS, bare_word, number_run

_MIN_DIGITS: Final = 3
_EDGE_WORDS: Final = 12
"""No more fillers than this lie between a cut number and the edge."""
_NEAR: Final = 3
"""So far reaches a word such as "page", which has other meanings than that of a number."""
_AMOUNT: Final = re.compile(r"[$£€%]")
_POLICIES: Final[tuple[PiiPolicy, ...]] = (
    "phone_number",
    "account_number",
    "credit_card_number",
    "us_social_security_number",
)
"""What a number may be that nothing tells about; the first that is asked for."""
_SUGGESTED: Final[dict[str, PiiPolicy]] = {
    "social": "us_social_security_number",
    "card": "credit_card_number",
    "account": "account_number",
    "phone": "phone_number",
    "birth": "date_of_birth",
}


class CutNumber(NamedTuple):
    """What is left of a number in this part: the words ``first`` to before ``last``."""

    policy: PiiPolicy
    first: int
    last: int


def cut_numbers(
    words: Sequence[str], policies: Sequence[PiiPolicy], *, open_start: bool, open_end: bool
) -> Iterator[CutNumber]:
    """Yield the numbers that may go on before the first or after the last word.

    ``open_start`` and ``open_end`` say at which edges the recording goes on. A number reaches
    an edge if nothing but fillers and punctuation lies between; it has three digits or more.
    """
    bare = [bare_word(word) for word in words]
    runs = list(_runs(bare))
    for first, run in dict(runs[:1] * open_start + runs[-1:] * open_end).items():
        last = run[-1].end
        reaches = (open_start and _is_edge(bare[:first])) or (open_end and _is_edge(bare[last:]))
        if reaches and _may_be_cut(words[first:last], run, word_at(bare, last)):
            policy = _policy(bare[max(0, first - REACH_WORDS) : first][::-1], policies)
            if policy:
                yield CutNumber(policy, first, last)


def _runs(bare: Sequence[str]) -> Iterator[tuple[int, list[Number]]]:
    """Yield each run of numbers, and where it begins."""
    position = 0
    while position < len(bare):
        run = number_run(bare, position)
        if run:
            yield position, run
        position = run[-1].end if run else position + 1


def _is_edge(between: Sequence[str]) -> bool:
    return len(between) < _EDGE_WORDS and all(word in FILLERS or not word for word in between)


def _may_be_cut(words: Sequence[str], run: Sequence[Number], following: str) -> bool:
    digits = sum(len(number.digits.lstrip("+")) for number in run)
    counted = run[0].amount or following in UNITS or any(map(_AMOUNT.search, words))
    return _MIN_DIGITS <= digits <= MAX_IDENTIFIER_DIGITS and not counted


def _policy(before: Sequence[str], policies: Sequence[PiiPolicy]) -> PiiPolicy | None:
    """Return what a number is by the words ``before`` it, nearest first; None if not asked for."""
    for distance, word in enumerate(before):
        cue = CUES.get(word)
        if cue in _SUGGESTED:
            return _SUGGESTED[cue] if _SUGGESTED[cue] in policies else None
        if cue and distance < _NEAR:
            return None
    return next((policy for policy in _POLICIES if policy in policies), None)
