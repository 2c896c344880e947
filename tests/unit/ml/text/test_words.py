import pytest

from ml.text.words import MAX_CHARACTERS, MAX_WORD_CHARACTERS, MAX_WORDS, opening, words_of


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("", ""),
        (" \n\t ", ""),
        ("  so\n I  said ", "so I said"),
        ("I don\u2019t", "I don't"),
        ("caf\u00e9 \u02bcn", "caf\u00e9 'n"),
        ("a \ud800 b", "a \ufffd b"),
    ],
)
def test_a_text_in_plain_form(text, plain):
    assert opening(text) == plain


def test_a_long_text_is_cut():
    assert opening("word " * 1_000) == " ".join(["word"] * MAX_WORDS)
    assert opening("x" * 1_000) == "x" * MAX_WORD_CHARACTERS
    assert len(opening(("x" * 63 + " ") * MAX_WORDS)) == MAX_CHARACTERS


def test_the_plain_form_is_in_plain_form():
    text = " It\u2019s \ud83d\ude00 " + "y" * 100 + " z" * 400
    assert opening(opening(text)) == opening(text)


@pytest.mark.parametrize(
    ("plain", "words"),
    [
        ("I don't, do you?", ["I", "don't", "do", "you"]),
        ("'quoted' well-known 42nd snake_case", ["quoted", "well", "known", "nd", "snake", "case"]),
        ("Stra\u00dfe \u4f60\u597d", ["Stra\u00dfe", "\u4f60\u597d"]),
        ("?! 12 \U0001f600", []),
    ],
)
def test_words(plain, words):
    assert words_of(plain) == words
