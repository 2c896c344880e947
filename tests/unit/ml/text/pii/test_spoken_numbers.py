from __future__ import annotations

import pytest

from ml.text.pii.spoken_numbers import number_at


@pytest.mark.parametrize(
    ("said", "digits", "words"),
    [
        ("five", "5", 1),
        ("oh", "0", 1),
        ("seventeen", "17", 1),
        ("twenty five", "25", 2),
        ("twenty-five", "25", 1),
        ("twenty ten", "20", 1),
        ("double seven", "77", 2),
        ("triple oh", "000", 2),
        ("five-five-five", "555", 1),
        ("nineteen hundred", "1900", 2),
        ("five hundred and twenty", "520", 4),
        ("eight hundred five five five", "800", 2),
        ("two thousand five", "2005", 3),
        ("two thousand five hundred", "2500", 4),
        ("three million two hundred thousand", "3200000", 5),
        ("(212", "212", 1),
        ("555-0123", "5550123", 1),
        ("+44", "+44", 1),
        ("212.555.0199", "2125550199", 1),
    ],
)
def test_a_number_is_read_as_it_is_said(said: str, digits: str, words: int) -> None:
    number = number_at(said.split(), 0)
    assert number is not None
    assert (number.digits, number.end) == (digits, words)


@pytest.mark.parametrize("said", ["", "hello", "double trouble", "well-known", "3.5", "5:30", "-"])
def test_other_words_are_no_numbers(said: str) -> None:
    assert number_at([said], 0) is None
