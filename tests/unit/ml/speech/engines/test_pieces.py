"""From decoded pieces to words."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ml.results import Word
from ml.speech.engines.pieces import Piece, joined, plausible


def test_the_parts_of_a_word_become_one() -> None:
    pieces = [
        Piece(" twenty", 0.0, 0.4, 0.9),
        Piece("-one", 0.4, 0.7, 0.8),
        Piece(" men", 0.7, 1, 1),
    ]
    assert joined(pieces, 2.0) == [Word("twenty-one", 0.0, 0.7, 0.8), Word("men", 0.7, 1.0, 1.0)]


def test_languages_without_spaces_keep_their_characters_apart() -> None:
    pieces = [Piece("你", 0.0, 0.2, 0.9), Piece("好。", 0.2, 0.5, 0.8)]
    assert [word.text for word in joined(pieces, 1.0, "zh")] == ["你", "好。"]


def test_a_piece_of_spaces_is_no_word() -> None:
    assert joined([Piece(" ", 0.0, 0.2, 0.9)], 1.0) == []


piece = st.builds(
    Piece,
    st.sampled_from([" a", "-b", " c.", " "]),
    st.floats(-1, 40),
    st.floats(-1, 40),
    st.floats(0.01, 1),
)


@given(st.lists(piece), st.floats(0.1, 30))
def test_times_never_run_backwards_nor_leave_the_window(pieces: list[Piece], end: float) -> None:
    times = [time for word in joined(pieces, end) for time in (word.start, word.end)]
    assert times == sorted(times)
    assert all(0 <= time <= end for time in times)


def test_what_is_probably_no_speech_must_be_said_more_surely() -> None:
    assert plausible(0.5, -0.9)
    assert not plausible(0.5, -1.1)
    assert plausible(0.7, -0.4)
    assert not plausible(0.7, -0.6)
