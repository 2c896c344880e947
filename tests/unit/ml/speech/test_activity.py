"""Voice activity on real speech and on none."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from faster_whisper.vad import get_vad_model
from hypothesis import given
from hypothesis import strategies as st

from ml.source.wav import SAMPLE_RATE
from ml.speech.activity import (
    FRAME_SAMPLES,
    FRAME_SECONDS,
    MAX_REGION_SECONDS,
    speech_probabilities,
    speech_regions,
)


def test_speech_is_told_from_silence(samples) -> None:
    quiet = np.zeros(5 * SAMPLE_RATE, np.float32)
    probabilities = speech_probabilities(np.concatenate([quiet, samples("jfk.flac"), quiet]))
    (first, *_, last) = speech_regions(probabilities)
    assert 4.5 < first.start < 5.6
    assert 15.0 < last.end < 16.2


def test_chunks_are_judged_as_the_whole_would_be(samples) -> None:
    audio = np.tile(samples("jfk.flac"), 8)  # 88 s: more than one chunk
    whole = audio[: len(audio) // FRAME_SAMPLES * FRAME_SAMPLES]
    at_once = get_vad_model()(whole).reshape(-1)
    in_chunks = speech_probabilities(audio)
    assert np.abs(in_chunks - at_once).mean() < 0.02
    assert ((in_chunks >= 0.5) == (at_once >= 0.5)).mean() > 0.99


@pytest.mark.parametrize("length", [0, 1, FRAME_SAMPLES - 1])
def test_less_than_a_frame_is_nothing(length: int) -> None:
    assert speech_regions(speech_probabilities(np.zeros(length, np.float32))) == []


def frames(seconds: float) -> int:
    return round(seconds / FRAME_SECONDS)


def test_short_pauses_do_not_part_and_long_ones_do() -> None:
    speech = np.zeros(frames(10), np.float32)
    for start, end in ((1.0, 2.0), (2.3, 3.0), (6.0, 7.0)):
        speech[frames(start) : frames(end)] = 0.9
    first, second = speech_regions(speech)
    assert first.start == pytest.approx(0.7, abs=0.05)
    assert first.end == pytest.approx(3.3, abs=0.05)
    assert second.start == pytest.approx(5.7, abs=0.05)


def test_a_click_is_no_speech() -> None:
    speech = np.zeros(frames(5), np.float32)
    speech[frames(2) : frames(2) + 2] = 0.99
    assert speech_regions(speech) == []


def test_long_speech_is_cut_at_its_pauses() -> None:
    speech = np.full(frames(70), 0.95, np.float32)
    for pause in (25.0, 49.0):
        speech[frames(pause) : frames(pause + 0.3)] = 0.4  # too short to end the speech
    regions = speech_regions(speech)
    assert [round(r.end) for r in regions] == [25, 49, 70]
    assert all(before.end <= after.start for before, after in pairwise(regions))


@given(st.lists(st.sampled_from([0.0, 0.4, 0.6, 1.0]), max_size=3000))
def test_regions_are_in_order_short_and_cover_all_that_is_surely_speech(values) -> None:
    speech = np.repeat(np.array(values, np.float32), 3)
    regions = speech_regions(speech)
    now = 0.0
    for region in regions:
        assert now <= region.start < region.end <= len(speech) * FRAME_SECONDS + 1e-6
        assert region.end - region.start <= MAX_REGION_SECONDS + 1.0
        now = region.end
    covered = np.zeros(len(speech), bool)
    for region in regions:
        covered[round(region.start / FRAME_SECONDS) : round(region.end / FRAME_SECONDS)] = True
    for begin in range(0, len(speech) - 6):
        if (speech[begin : begin + 6] == 1.0).all():
            assert covered[begin : begin + 6].all()
