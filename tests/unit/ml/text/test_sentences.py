from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.text.sentences import MAX_WORDS, clean, has_content, sentences_of_text


def split(text: str) -> list[str]:
    return list(sentences_of_text(clean(text)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I won! Did you?  Great.", ["I won!", "Did you?", "Great."]),
        ("Dr. Smith went to the U.S. yesterday. He paid $3.50.",
         ["Dr. Smith went to the U.S. yesterday.", "He paid $3.50."]),
        ("So happy today! 😀 But you... ruined it. 😢😢 Why?!",
         ["So happy today! 😀", "But you... ruined it. 😢😢", "Why?!"]),
        ('"Hello," she said. "Go away!" He left.',
         ['"Hello," she said.', '"Go away!"', "He left."]),
        ("first line\nsecond line\r\n\r\nthird", ["first line", "second line", "third"]),
        ("Well.\n!!!\n...\nYes.", ["Well. !!! ...", "Yes."]),
        ("... Hello.", ["... Hello."]),
        ("😀", ["😀"]),
        ("👨‍👩‍👧 family. ❤️ Love it", ["👨‍👩‍👧 family. ❤️", "Love it"]),
        ("a\x00b\x1b[31m \u202ec\u200b \ufeffd", ["ab[31m c d"]),
        ("a \x1b\tb", ["a b"]),
        ("e\u0301t\u00a0e", ["ét e"]),
    ],
)  # fmt: skip
def test_sentences(text: str, expected: list[str]) -> None:
    assert split(text) == expected


@pytest.mark.parametrize("text", ["", " \n\t ", "\x00\x07\u200b\u202e", "...!?", "-----"])
def test_texts_without_content(text: str) -> None:
    assert not has_content(clean(text))


def test_a_sentence_without_end_is_cut_after_a_clause() -> None:
    text = " ".join(f"word{n}," if n == 49 else f"word{n}" for n in range(150))
    sentences = split(text)
    assert [len(sentence.split()) for sentence in sentences] == [50, 60, 40]
    assert " ".join(sentences) == text


@given(st.text(alphabet=st.characters(), max_size=300))
def test_nothing_that_can_be_read_is_lost_or_invented(text: str) -> None:
    cleaned = clean(text)
    assert clean(cleaned) == cleaned
    sentences = list(sentences_of_text(cleaned))
    assert "".join("".join(sentences).split()) == "".join(cleaned.split())
    assert all(len(sentence.split(" ")) <= MAX_WORDS for sentence in sentences)
    assert all(sentence == sentence.strip() != "" for sentence in sentences)


@pytest.mark.parametrize(
    "text", ["a" * 500_000, "word " * 100_000, "Hi. " * 60_000, "😀" * 100_000, "hi\n" * 30_000],
    ids=["one word", "no end", "short", "emoji", "lines"],
)  # fmt: skip
def test_huge_texts_take_seconds(text: str) -> None:
    began = time.monotonic()
    assert split(text)
    assert time.monotonic() - began < 10
