from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from ml.results import Word
from ml.text.sentences import MAX_WORDS
from ml.text.utterances import MAX_SECONDS, PAUSE_SECONDS, utterances


def said(text: str, *, start: float = 0.0, each: float = 0.3, gap: float = 0.05) -> list[Word]:
    """Return the words of a text at an even pace; "|" stands for a pause of two seconds."""
    words, now = [], start
    for piece in text.split():
        if piece == "|":
            now += 2.0
            continue
        words.append(Word(piece, now, now + each, 0.9))
        now += each + gap
    return words


def texts(words: list[Word]) -> list[str]:
    return [" ".join(word.text for word in run) for run in utterances(words)]


def test_punctuation_ends_sentences() -> None:
    assert texts(said('I won! Did you? "Yes." So what… Fine')) == [
        "I won!", "Did you?", '"Yes."', "So what…", "Fine"
    ]  # fmt: skip


def test_abbreviations_do_not() -> None:
    assert texts(said("Dr. Smith met Mr. J. Doe in the U.S. today. So did I. Yes.")) == [
        "Dr. Smith met Mr. J. Doe in the U.S. today.",
        "So did I.",
        "Yes.",
    ]


def test_pauses_end_sentences() -> None:
    assert texts(said("and then | nothing happened")) == ["and then", "nothing happened"]


def test_long_runs_are_cut_at_the_longest_pause_in_the_middle() -> None:
    words = said("one " * 40, each=0.5)
    later = [Word(w.text, w.start + 0.6, w.end + 0.6, 0.9) for w in words[22:]]
    assert [len(run) for run in utterances(words[:22] + later)] == [22, 18]


def test_the_end_of_a_clause_is_a_good_place_to_cut() -> None:
    runs = texts(said("one " * 34 + "two, " + "three " * 35))
    assert runs[0].endswith("two,")


def test_nothing_said_gives_nothing() -> None:
    assert texts([]) == []


word_lists = st.lists(
    st.tuples(
        st.sampled_from(["so", "well,", "yes.", "Mr.", "why?", "—"]),
        st.floats(0, 3),
        st.floats(0, 4),
    ),
    max_size=200,
)


@given(word_lists)
def test_whatever_is_said_comes_out_in_order_and_never_too_long(
    pieces: list[tuple[str, float, float]],
) -> None:
    words, now = [], 0.0
    for text, gap, length in pieces:
        words.append(Word(text, now + gap, now + gap + length, 0.5))
        now += gap + length
    runs = list(utterances(words))
    assert [word for run in runs for word in run] == words
    for run in runs:
        assert 0 < len(run) <= MAX_WORDS
        assert len(run) == 1 or run[-1].end - run[0].start <= MAX_SECONDS
        for before, after in itertools.pairwise(run):
            assert after.start - before.end <= PAUSE_SECONDS
