from __future__ import annotations

import tracemalloc
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.source.wav import SAMPLE_RATE, _gains, read_span, silence
from ml.stage import Span

FADE = 80


def written(path: Path, samples: np.ndarray) -> Path:
    with wave.open(str(path), "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(SAMPLE_RATE)
        wav.writeframes(samples.astype("<i2").tobytes())
    return path


def samples_of(path: Path) -> np.ndarray:
    with wave.open(str(path)) as wav:
        assert (wav.getframerate(), wav.getnchannels(), wav.getsampwidth()) == (SAMPLE_RATE, 1, 2)
        return np.frombuffer(wav.readframes(wav.getnframes()), "<i2")


@pytest.fixture
def loud(tmp_path: Path) -> Path:
    """Three seconds in which every sample is 10,000."""
    return written(tmp_path / "loud.wav", np.full(3 * SAMPLE_RATE, 10_000))


def silenced(source: Path, *spans: Span) -> np.ndarray:
    target = source.with_name("silenced.wav")
    with source.open("rb") as file:
        silence(file, target, spans)
    return samples_of(target)


def test_a_stretch_is_read_and_cut_at_the_end(loud: Path) -> None:
    with loud.open("rb") as file:
        assert len(read_span(file, Span(1.0, 1.5))) == SAMPLE_RATE // 2
        assert len(read_span(file, Span(2.5, 9.0))) == SAMPLE_RATE // 2
        assert read_span(file, Span(0.0, 0.1)).max() == pytest.approx(10_000 / 32_768)


def test_the_stretches_are_silent_and_the_rest_is_as_it_was(loud: Path) -> None:
    result = silenced(loud, Span(0.5, 1.0), Span(2.0, 2.25))
    assert len(result) == 3 * SAMPLE_RATE
    quiet = np.zeros(len(result), bool)
    for first, last in ((8_000, 16_000), (32_000, 36_000)):
        assert not result[first:last].any()
        quiet[first - FADE : last + FADE] = True
    assert (result[~quiet] == 10_000).all()


def test_the_sound_fades_and_does_not_click(loud: Path) -> None:
    result = silenced(loud, Span(1.0, 2.0)).astype(int)
    assert np.abs(np.diff(result)).max() <= 10_000 / FADE + 1
    assert (np.diff(result[16_000 - FADE : 16_000 + 1]) < 0).all()
    assert (np.diff(result[32_000 - 1 : 32_000 + FADE]) > 0).all()


def test_stretches_between_samples_are_silent_as_a_whole(loud: Path) -> None:
    result = silenced(loud, Span(1.00003, 1.99997))
    assert not result[16_000:32_000].any()


def test_stretches_may_overlap_and_reach_past_both_ends(loud: Path) -> None:
    result = silenced(loud, Span(2.0, 99.0), Span(-1.0, 0.5), Span(0.25, 1.0), Span(50.0, 60.0))
    assert not result[:16_000].any()
    assert not result[32_000:].any()
    assert (result[16_000 + FADE : 32_000 - FADE] == 10_000).all()


@pytest.mark.parametrize("spans", [(), (Span(1.0, 1.0),), (Span(2.0, 1.0),)])
def test_without_stretches_it_is_a_copy(loud: Path, spans: tuple[Span, ...]) -> None:
    silenced(loud, *spans)
    assert loud.with_name("silenced.wav").read_bytes() == loud.read_bytes()


def test_a_stretch_across_two_chunks_has_no_seam(
    loud: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spans = (Span(0.3, 0.9), Span(1.1, 1.2))
    whole = silenced(loud, *spans)
    monkeypatch.setattr("ml.source.wav._CHUNK_SAMPLES", 1_000)
    assert (silenced(loud, *spans) == whole).all()


def test_memory_does_not_grow_with_the_recording(tmp_path: Path) -> None:
    peaks = []
    for minutes in (5, 20):
        source = written(tmp_path / "long.wav", np.ones(minutes * 60 * SAMPLE_RATE, np.int16))
        tracemalloc.start()
        silenced_file = tmp_path / "silenced.wav"
        with source.open("rb") as file:
            silence(file, silenced_file, [Span(1.0, minutes * 60 - 1.0)])
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert silenced_file.stat().st_size == source.stat().st_size
    assert peaks[1] < 1.1 * peaks[0]


@given(
    st.lists(st.tuples(st.integers(-50, 400), st.integers(1, 300)), max_size=5),
    st.integers(-100, 500),
)
def test_gains_are_zero_exactly_inside(edges: list[tuple[int, int]], position: int) -> None:
    spans = [(first, first + length) for first, length in edges]
    gains = _gains(position, 300, spans)
    places = position + np.arange(300)
    inside = np.zeros(300, bool)
    for first, last in spans:
        inside |= (places >= first) & (places < last)
    assert ((gains == 0) == inside).all()
    assert ((gains >= 0) & (gains <= 1)).all()
