"""Packing regions into windows, and times back from windows to the recording."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ml.results import Word
from ml.source.wav import SAMPLE_RATE
from ml.speech.windows import Window, pack
from ml.stage import Span


def after_each_other(pairs) -> list[Span]:
    spans, now = [], 0.0
    for gap, length in pairs:
        spans.append(Span(now + gap, now + gap + length))
        now += gap + length
    return spans


regions = st.lists(
    st.tuples(st.floats(0.0, 5.0), st.floats(0.1, 28.0)), min_size=1, max_size=20
).map(after_each_other)


def word(start: float, end: float, text: str = "word") -> Word:
    return Word(text, start, end, 0.9)


@given(regions)
def test_windows_hold_every_region_once_in_order_and_are_not_too_long(spans) -> None:
    windows = pack(spans, 29.0)
    assert [region for window in windows for region in window.regions] == spans
    assert all(window.seconds <= 29.0 or len(window.regions) == 1 for window in windows)
    for before, after in pairwise(windows):
        assert before.seconds + after.regions[0].end - after.regions[0].start > 29.0


def test_nothing_is_packed_into_nothing() -> None:
    assert pack([], 29.0) == []


def test_samples_leave_out_what_lies_between() -> None:
    audio = np.arange(10 * SAMPLE_RATE, dtype=np.float32)
    window = Window((Span(1.0, 2.0), Span(5.0, 5.5)))
    heard = window.samples(audio)
    assert len(heard) == 1.5 * SAMPLE_RATE
    assert heard[0] == SAMPLE_RATE
    assert heard[SAMPLE_RATE] == 5 * SAMPLE_RATE


def test_words_come_back_to_their_regions() -> None:
    window = Window((Span(10.0, 12.0), Span(20.0, 23.0)))
    placed = window.placed([word(0.5, 1.0), word(1.5, 2.2), word(2.1, 3.0), word(4.9, 5.4)])
    assert [(w.start, w.end) for w in placed] == [
        (10.5, 11.0),
        (11.5, 12.0),
        (20.1, 21.0),
        (22.9, 23.0),
    ]


@given(regions, st.lists(st.floats(0.0, 1.0), min_size=1, max_size=30))
def test_placed_words_stay_in_order_and_within_a_region(spans, shares) -> None:
    (window, *_) = pack(spans, 29.0)
    times = sorted(share * window.seconds for share in shares)
    said = [word(start, end) for start, end in pairwise(times)]
    placed = window.placed(said)
    assert len(placed) == len(said)
    now = 0.0
    for one in placed:
        assert now <= one.start <= one.end
        assert any(r.start <= one.start and one.end <= r.end for r in window.regions)
        now = one.end
