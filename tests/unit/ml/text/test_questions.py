import pytest

from ml.text.questions import asks


@pytest.mark.parametrize(
    "words",
    [
        "are you sure",
        "what is it",
        "so why did they leave",
        "what happened",
        "who's there",
        "well where's my coat",
        "how much is this",
        "how come",
        "is this yours",
        "did anyone see it",
        "don't you think so",
        "and what do you want",
        "do people like that",
        "what the hell",
    ],
)
def test_a_question(words):
    assert asks(words) == 1


@pytest.mark.parametrize(
    "words",
    [
        "",
        "you are sure",
        "what a day",
        "what i mean is nothing",
        "so do i",
        "neither did they",
        "as was he",
        "whatever happens",
        "who knows",
        "when i was young",
        "do it",
        "can confirm",
        "i did that",
        "how nice",
        "i am there",
    ],
)
def test_no_question(words):
    assert asks(words) == 0


def test_two_questions():
    assert asks("what are you doing and where are they") == 2
