"""Text as a recogniser gives it."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies

from ml.corpora.recogniser import as_heard, misheard, plain


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I'm SO happy!!!", "i'm so happy"),
        ("Well\u2026 it\u2019s over, isn't it?", "well it's over isn't it"),
        ("Thanks, [NAME] :)", "thanks name"),
        ("'quoted' rock'n'roll", "quoted rock'n'roll"),
        ("50% of 3.5", "50 of 3 5"),
    ],
)
def test_plain_text_has_neither_case_nor_punctuation(text, expected):
    assert plain(text) == expected


@pytest.mark.parametrize("text", ["\U0001f602", "", "?!"])
def test_a_text_without_a_word_stays(text):
    assert plain(text) == text


@settings(deadline=None)
@given(strategies.text(max_size=200))
def test_any_text_is_heard_as_some_text(text):
    heard = misheard(text, np.random.default_rng(0))
    assert heard or not text
    assert heard == text or plain(heard) == heard


def test_some_words_are_misheard_most_are_not():
    said = "i think they know that you are right and we are going to be there for our son"
    generator = np.random.default_rng(1)
    heard = [misheard(said, generator).split() for _ in range(200)]
    same = [len(set(said.split()) & set(words)) / len(set(said.split())) for words in heard]
    assert sum(words != said.split() for words in heard) > 100
    assert np.mean(same) > 0.85


def test_the_same_seed_hears_the_same():
    texts = ["what a wonderful day this has been for all of us", "go away"] * 20
    assert as_heard(texts, 3) == as_heard(texts, 3)
    assert as_heard(texts, 3) != as_heard(texts, 4)
    assert len(as_heard(texts, 3)) == 40
