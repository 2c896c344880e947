"""Sentences from plain text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

MAX_WORDS = 60
"""A longer sentence is cut: nobody writes one with a single emotion."""
MAX_WORD_CHARACTERS = 200
"""A longer run without a space is no word; it is cut, since tokenizers are slow on it."""

_NEWLINES = re.compile(r"[\r\n\x0b\x0c\x85\u2028\u2029]+")
_SPACES = re.compile(r"\s+")
_LONG_WORD = re.compile(rf"(\S{{{MAX_WORD_CHARACTERS}}})(?=\S)")
_LEADING_EMOJI = re.compile(
    # Not: letters, digits, white space, opening punctuation and the symbols of text.
    r"[^\w\s\"'\u201c\u2018\u201d\u2019(\[{<$£€¥#@&+~|=°§/\\*_^%.,;:!?\u2026-]+(?:\s+|$)"
)
_DANGLING_OPENING = re.compile(r"\s([\"'\u201c\u2018(\[])$")
_JOINERS = frozenset("\u200c\u200d")
"""Invisible, but part of emoji and of words in some scripts."""
_REMOVED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_CLAUSE_ENDS = (",", ";", ":", "-", "\u2013", "\u2014", ")")


def clean(text: str) -> str:
    """Return the text composed (NFC), without control characters, with single spaces.

    Lines remain, with one line feed between them, because a line's end ends a sentence.
    """
    lines = (_clean_line(line) for line in _NEWLINES.split(unicodedata.normalize("NFC", text)))
    return "\n".join(line for line in lines if line)


def _clean_line(line: str) -> str:
    spaced = _SPACES.sub(" ", line)
    visible = (c for c in spaced if c in _JOINERS or unicodedata.category(c) not in _REMOVED)
    # Once more: what was removed may have stood between two spaces.
    return _LONG_WORD.sub(r"\1 ", _SPACES.sub(" ", "".join(visible))).strip()


def has_content(text: str) -> bool:
    """Whether there is a letter, a digit or a symbol such as an emoji in the text."""
    return any(unicodedata.category(c)[0] in "LNS" for c in text)


def sentences_of_text(text: str) -> Iterator[str]:
    """Yield the sentences of a cleaned text, in order.

    What has no letter, digit or symbol of its own ("...", a stray quotation mark) joins the
    sentence before it, or the first one. So do emoji after a sentence's full stop: they
    comment on what was said.
    """
    found: list[str] = []
    for line in text.split("\n"):
        first_of_line = len(found)
        for sentence in _split(line):
            said = sentence
            comment = _leading_emoji(said) if len(found) > first_of_line else ""
            if comment:
                found[-1] = f"{found[-1]} {comment}"
                said = said[len(comment) :].strip()
            if said and found and not (has_content(said) and has_content(found[-1])):
                found[-1] = f"{found[-1]} {said}"
            elif said:
                found.append(said)
    for sentence in found:
        yield from _short_enough(sentence)


def _leading_emoji(sentence: str) -> str:
    match = _LEADING_EMOJI.match(sentence)
    return match[0].strip() if match and has_content(match[0]) else ""


def _split(line: str) -> Iterator[str]:
    """Yield what the rules take for sentences, with opening quotes moved to where they open."""
    opening = ""
    for sentence in _sentencizer()(line).sents:
        said = opening + sentence.text.strip()
        dangling = _DANGLING_OPENING.search(said)
        opening = dangling[1] if dangling else ""
        yield said[: dangling.start()] if dangling else said
    if opening:
        yield opening


def _short_enough(sentence: str) -> Iterator[str]:
    """Cut a sentence that is too long, after a clause if there is one near the limit."""
    words = sentence.split(" ")
    while len(words) > MAX_WORDS:
        near = range(MAX_WORDS, MAX_WORDS // 2, -1)
        cut = next((n for n in near if words[n - 1].endswith(_CLAUSE_ENDS)), MAX_WORDS)
        yield " ".join(words[:cut])
        words = words[cut:]
    yield " ".join(words)


@lru_cache(maxsize=1)
def _sentencizer() -> Any:
    import spacy

    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    # The limit protects parsers; a rule-based pipeline needs no memory per character.
    nlp.max_length = 2**31
    return nlp
