"""Sentences from timed words: by punctuation, pauses and speakers, and never too long."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ml.results import Word
from ml.text.language import UNSPACED_LANGUAGES
from ml.text.sentences import MAX_WORDS

PAUSE_SECONDS = 1.0
"""A longer silence ends a sentence, punctuation or not."""
MAX_SECONDS = 20.0

_SENTENCE_END = re.compile(r"[.!?\u2026][\"'\u201d\u2019)\]]*$")
_TITLES = "mr|mrs|ms|dr|prof|st|sr|jr|vs|gen|sen|rep|gov|capt|lt|col"
_ABBREVIATION = re.compile(
    # An initial (but "So did I." ends), letters with full stops, or a title.
    rf"^[\"'\u201c\u2018(\[]*(?:[b-hj-z]\.|(?:[a-z]\.){{2,}}|(?:{_TITLES})\.)$",
    re.IGNORECASE,
)
_CLAUSE_END = re.compile(r"[,;:\u2013\u2014-][\"'\u201d\u2019)\]]*$")
_CLAUSE_BONUS_SECONDS = 0.5


def joined_text(words: Sequence[Word], language: str) -> str:
    """Return what the words say, written as the language is."""
    separator = "" if language in UNSPACED_LANGUAGES else " "
    return separator.join(word.text for word in words)


def utterances(words: Sequence[Word]) -> Iterator[list[Word]]:
    """Yield runs of words, each a sentence of at most 20 s and 60 words.

    ``words`` are in order of time.
    """
    run: list[Word] = []
    for number, word in enumerate(words):
        run.append(word)
        following = words[number + 1] if number + 1 < len(words) else None
        if following is None or _ends(word, following):
            yield from _short_enough(run)
            run = []


def _ends(word: Word, following: Word) -> bool:
    if following.start - word.end > PAUSE_SECONDS or following.speaker != word.speaker:
        return True
    return bool(_SENTENCE_END.search(word.text)) and not _ABBREVIATION.match(word.text)


def _short_enough(run: list[Word]) -> Iterator[list[Word]]:
    """Cut a run that is too long where its middle half has the longest pause.

    The end of a clause counts as half a second of pause.
    """
    pending = [run]
    while pending:
        run = pending.pop()
        if len(run) < 2 or (len(run) <= MAX_WORDS and run[-1].end - run[0].start <= MAX_SECONDS):
            yield run
            continue
        middle = range(max(1, len(run) // 4), max(2, len(run) * 3 // 4 + 1))
        cut = max(middle, key=lambda position: _pause_before(run, position))
        pending += [run[cut:], run[:cut]]


def _pause_before(run: list[Word], position: int) -> float:
    before, after = run[position - 1], run[position]
    bonus = _CLAUSE_BONUS_SECONDS if _CLAUSE_END.search(before.text) else 0.0
    return after.start - before.end + bonus
