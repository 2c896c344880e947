"""Redaction: personal data in a transcript, replaced by what it was.

The words are written down as one would write them (``ml.text.pii.writing``), looked through
in overlapping stretches (``ml.text.pii.engine``), and what is found goes back to its words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from typing import Final

from ml.options import PiiPolicy
from ml.results import Word
from ml.stage import Span
from ml.text.pii.casing import is_cased, with_capitals
from ml.text.pii.cuts import CutNumber, cut_numbers
from ml.text.pii.engine import pii_engine, require
from ml.text.pii.finders import Finding
from ml.text.pii.writing import PLACEHOLDER, TAG, Written, dressed, written

__all__ = ["Redacted", "redact", "redact_passages", "redact_text", "require"]

_STRETCH: Final = 400
"""Pieces that are looked through together."""
_CONTEXT: Final = 60
"""Pieces of the neighbouring stretches that are looked at as well, on either side: more than
any entity or the words that give it away take."""
_POSSESSIVE: Final = re.compile(r"(['\u2019]s)?\W*$")
_BRACKETS: Final = str.maketrans("", "", "[] ")
_REDACTED: Final = re.compile(rf"(?:\W*{PLACEHOLDER.pattern})+{_POSSESSIVE.pattern}")
"""Nothing but placeholders and punctuation."""


@dataclass(frozen=True, slots=True)
class Redacted:
    """A transcript without personal data, and where that was."""

    words: tuple[Word, ...]
    """Each entity became one word such as ``[PHONE_NUMBER]``, with its times, the lowest
    probability among its words, and the speaker of the first."""
    spans: tuple[Span, ...]
    """Where the hidden words lie."""


@dataclass(frozen=True, slots=True)
class _Entity:
    """What is hidden: the words ``first`` to before ``last``, and what stands for them."""

    policy: PiiPolicy
    text: str
    first: int
    last: int


def redact(
    words: Sequence[Word],
    policies: Sequence[PiiPolicy],
    *,
    open_start: bool = False,
    open_end: bool = False,
) -> Redacted:
    """Return ``words`` with everything replaced that ``policies`` cover.

    ``words`` are in order of time. Whoever speaks, they are read as one text, since a number is
    often asked for by one and given by another. Time and memory grow with their number.

    ``open_start`` and ``open_end`` say that the recording has more words before the first and
    after the last: a number at such an edge may go on there, and is hidden however short.

    Raises :class:`~ml.errors.ExtraMissing` if presidio is not installed.
    """
    texts = [word.text for word in words]
    entities = list(_entities(texts, policies))
    for number in cut_numbers(texts, policies, open_start=open_start, open_end=open_end):
        entities = _with_number(entities, number, texts)
    left: list[Word] = []
    spans: list[Span] = []
    position = 0
    for entity in entities:
        hidden = words[entity.first : entity.last]
        left += words[position : entity.first]
        left.append(_standing_for(hidden, entity.text))
        spans.append(Span(left[-1].start, left[-1].end))
        position = entity.last
    return Redacted((*left, *words[position:]), tuple(spans))


def redact_text(text: str, policies: Sequence[PiiPolicy]) -> str:
    """Return ``text`` with everything replaced that ``policies`` cover; its spaces remain.

    Raises :class:`~ml.errors.ExtraMissing` if presidio is not installed.
    """
    return redact_passages([text], policies)[0]


def redact_passages(texts: Sequence[str], policies: Sequence[PiiPolicy]) -> list[str]:
    """Return consecutive ``texts``, each with everything replaced that ``policies`` cover.

    They are read as one, so that a number may go from one into the next: what stands for it is
    in the text where it begins, and of the others, which may become empty, nothing of it is left.

    Raises :class:`~ml.errors.ExtraMissing` if presidio is not installed.
    """
    words = [
        (number, word)
        for number, text in enumerate(texts)
        for word in re.finditer(r"(\S+)\s*", text)
    ]
    left = ["" for _ in texts]
    positions = [0 for _ in texts]
    for entity in _entities([word[1] for _, word in words], policies):
        standing = entity.text
        for number, group in groupby(words[entity.first : entity.last], key=itemgetter(0)):
            hidden = [word for _, word in group]
            if standing:
                left[number] += texts[number][positions[number] : hidden[0].start()] + standing
            positions[number] = hidden[-1].end(1 if standing else 0)
            standing = ""
    return [
        done + text[position:] for done, text, position in zip(left, texts, positions, strict=True)
    ]


def _standing_for(hidden: Sequence[Word], text: str) -> Word:
    return Word(
        text,
        start=min(word.start for word in hidden),
        end=max(word.end for word in hidden),
        probability=min(word.probability for word in hidden),
        speaker=hidden[0].speaker,
    )


def _with_number(
    entities: Sequence[_Entity], number: CutNumber, words: Sequence[str]
) -> list[_Entity]:
    """Return the entities and a cut number, which becomes one with what was found in it."""
    inside = [e for e in entities if e.first < number.last and number.first < e.last]
    policy = inside[0].policy if inside else number.policy
    first = min([number.first, *(entity.first for entity in inside)])
    last = max([number.last, *(entity.last for entity in inside)])
    text = dressed(words, f"[{policy.upper()}]", first, last).text
    others = [entity for entity in entities if entity not in inside]
    return sorted([*others, _Entity(policy, text, first, last)], key=lambda e: e.first)


def _entities(words: Sequence[str], policies: Sequence[PiiPolicy]) -> Iterator[_Entity]:
    """Yield what the policies cover, in order and without overlaps."""
    if not policies:
        return
    engine = pii_engine()
    pieces = written(words)
    done = 0
    for start in range(0, len(pieces), _STRETCH):
        first = max(0, start - _CONTEXT)
        begins, ends = pieces[start].first, pieces[start : start + _STRETCH][-1].last
        stretch = Written(pieces[first : start + _STRETCH + _CONTEXT])
        cased = is_cased(stretch.text)
        text = stretch.text if cased else with_capitals(stretch.text)
        for entity in _placed(stretch, engine.findings(text, cased=cased)):
            # Two stretches may differ on where an entity at their border begins: neither part of
            # it shall remain.
            own = entity.first < ends and entity.last > max(begins, done)
            if own and entity.policy in policies:
                yield replace(entity, first=max(entity.first, done))
                done = entity.last


def _placed(stretch: Written, findings: Sequence[Finding]) -> list[_Entity]:
    """Return what is hidden, in order: the surer finding where two policies overlap.

    Findings of one policy that overlap or follow each other without punctuation become one, as
    the street and the town of an address do.
    """
    covers: list[_Cover | None] = [None] * len(stretch.pieces)
    for number, finding in enumerate(sorted(findings, key=lambda f: (-f.score, f.start - f.end))):
        (low, start), (high, end) = stretch.at(finding.start), stretch.at(finding.end - 1)
        within = [
            n for n in range(low, high + 1) if not _REDACTED.fullmatch(stretch.pieces[n].text)
        ]
        before = [cover for n in within if (cover := covers[n])]
        if any(cover.policy != finding.policy for cover in before):
            continue
        entity = before[0].entity if before else number
        for n in within:
            piece = _Cover(finding.policy, entity, start if n == low else 0,
                           end + 1 if n == high else len(stretch.pieces[n].text))  # fmt: skip
            covers[n] = piece.joined(covers[n])
    return list(_runs(stretch, covers))


@dataclass(frozen=True, slots=True)
class _Cover:
    """What of a piece is hidden: the characters ``start`` to before ``end``."""

    policy: PiiPolicy
    entity: int
    start: int
    end: int

    def joined(self, other: _Cover | None) -> _Cover:
        if other is None:
            return self
        start, end = min(self.start, other.start), max(self.end, other.end)
        return _Cover(self.policy, self.entity, start, end)


def _runs(stretch: Written, covers: Sequence[_Cover | None]) -> Iterator[_Entity]:
    """Yield an entity for each run of covered pieces that belong together."""
    first = 0
    for n, cover in enumerate(covers):
        if cover is None:
            continue
        if n == 0 or not _belong(stretch.pieces[n - 1].text, covers[n - 1], cover):
            first = n
        following = covers[n + 1] if n + 1 < len(covers) else None
        if following is None or not _belong(stretch.pieces[n].text, cover, following):
            opening = covers[first] or cover
            text = _replaced(stretch.pieces[first].text, stretch.pieces[n].text, opening, cover)
            yield _Entity(cover.policy, text, stretch.pieces[first].first, stretch.pieces[n].last)


def _belong(text: str, cover: _Cover | None, following: _Cover) -> bool:
    """Whether two covers of neighbouring pieces, the first with this text, hide one entity."""
    if cover is None or cover.policy != following.policy:
        return False
    return cover.entity == following.entity or text[-1].isalnum()


def _replaced(first: str, last: str, opening: _Cover, closing: _Cover) -> str:
    """Return the placeholder with the punctuation before and after what it stands for.

    Not with brackets, which it has itself.
    """
    before, behind = (
        TAG.sub("", text).translate(_BRACKETS)
        for text in (first[: opening.start], last[closing.end :])
    )
    kept = "" if any(map(str.isalnum, before)) else before
    after = _POSSESSIVE.search(behind)
    return f"{kept}[{closing.policy.upper()}]{after[0] if after else ''}"
