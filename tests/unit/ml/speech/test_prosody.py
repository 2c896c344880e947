"""Sounds of known level and pitch, real speech, and whatever else a sentence may hold."""

from __future__ import annotations

import math
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from media import tone

from ml.results import Prosody, Word
from ml.source.decode import decode
from ml.source.wav import SAMPLE_RATE, read_span
from ml.speech.prosody import prosody
from ml.stage import Span

SILENT = Prosody(None, None, None, None, 0.0, 0)


def words(count: int, seconds: float, start: float = 0.0) -> list[Word]:
    """Return words that share a stretch evenly."""
    edges = [start + seconds * number / count for number in range(count + 1)]
    return [Word("so", *span, 1.0) for span in pairwise(edges)]


def buzz(frequencies: np.ndarray) -> np.ndarray:
    """Return a sound with harmonics whose fundamental follows ``frequencies``, in Hz."""
    phase = 2 * np.pi * np.cumsum(frequencies) / SAMPLE_RATE
    return (0.1 * sum(np.sin(n * phase) / n for n in range(1, 9))).astype(np.float32)


@pytest.fixture
def speech(jfk: Path, tmp_path: Path) -> np.ndarray:
    """Eleven seconds with four long pauses."""
    with jfk.open("rb") as file:
        decode(file, tmp_path / "jfk.wav", max_seconds=20)
    with (tmp_path / "jfk.wav").open("rb") as wav:
        return read_span(wav, Span(0.0, 11.0))


@pytest.mark.parametrize("amplitude", [1.0, 0.1, 0.001])
def test_a_sine_has_its_level_whatever_silence_is_around_it(amplitude: float) -> None:
    sine = tone(2.048, SAMPLE_RATE, 500.0) / 0.3 * amplitude
    quiet = np.zeros(512 * 30, np.float32)
    level = prosody(np.concatenate((quiet, sine, quiet)), [], start=0.0).loudness
    assert level == pytest.approx(20 * math.log10(amplitude) - 3.01, abs=0.1)


def test_speech_at_half_the_amplitude_is_six_decibels_quieter(speech: np.ndarray) -> None:
    loud, quiet = (prosody(gain * speech, [], start=0.0) for gain in (0.5, 0.25))
    assert loud.loudness is not None
    assert quiet.loudness is not None
    assert loud.loudness - quiet.loudness == pytest.approx(6.02, abs=0.2)
    assert quiet.pitch_median == pytest.approx(loud.pitch_median, rel=0.01)


@pytest.mark.parametrize("hertz", [70.0, 120.0, 220.0, 440.0, 700.0])
def test_a_steady_voice_has_its_pitch_and_no_range(hertz: float) -> None:
    measured = prosody(buzz(np.full(2 * SAMPLE_RATE, hertz)), [], start=0.0)
    assert measured.pitch_median == pytest.approx(hertz, rel=0.01)
    assert measured.pitch_range == pytest.approx(0.0, abs=0.3)


def test_a_glide_over_two_octaves_has_nine_tenths_of_them_as_its_range() -> None:
    glide = 100 * 4 ** np.linspace(0, 1, 4 * SAMPLE_RATE)
    measured = prosody(buzz(glide), [], start=0.0)
    assert measured.pitch_median == pytest.approx(200, rel=0.03)
    assert measured.pitch_range == pytest.approx(0.9 * 24, abs=0.6)


def test_a_sentence_is_measured(speech: np.ndarray) -> None:
    measured = prosody(speech, words(22, 11.0), start=0.0)
    # By ear and by the waveform: silent from 2.1 to 3.3, 3.7 to 4.0, 4.3 to 5.4, 7.5 to 8.2 s.
    assert measured.pauses == 4
    assert measured.pause_seconds == pytest.approx(3.3, abs=0.3)
    assert measured.speaking_rate == pytest.approx(22 / 10.3, abs=0.1)
    # As Praat has it between 75 and 500 Hz: 236.5 Hz and 8.9 semitones; the level is P.56's.
    assert measured.pitch_median == pytest.approx(236.5, rel=0.05)
    assert measured.pitch_range == pytest.approx(8.9, abs=1)
    assert measured.loudness == pytest.approx(-15.5, abs=0.6)


def test_noise_hides_neither_pauses_nor_pitch(speech: np.ndarray) -> None:
    noise = np.random.default_rng(1).normal(0, 0.06, len(speech)).astype(np.float32)
    quiet, noisy = (
        prosody(sound, words(22, 11.0), start=0.0) for sound in (speech, speech + noise)
    )
    assert noisy.pauses == quiet.pauses
    assert noisy.pause_seconds == pytest.approx(quiet.pause_seconds, abs=0.3)
    assert noisy.pitch_median == pytest.approx(quiet.pitch_median, rel=0.05)


def test_words_are_timed_from_the_beginning_of_the_recording(speech: np.ndarray) -> None:
    beginning = prosody(speech, words(4, 2.2), start=0.0)
    later = prosody(speech, words(4, 2.2, start=100.0), start=100.0)
    assert later == beginning
    assert beginning.pauses == 0
    assert beginning == prosody(speech[: round(2.2 * SAMPLE_RATE)], words(4, 2.2), start=0.0)


def test_without_words_there_is_no_rate(speech: np.ndarray) -> None:
    measured = prosody(speech, [], start=0.0)
    assert measured.speaking_rate is None
    assert measured.loudness is not None


def test_a_sound_that_the_detector_takes_for_no_speech_is_measured_as_a_whole() -> None:
    scream = buzz(np.full(2 * SAMPLE_RATE, 220.0))
    measured = prosody(scream, words(4, 2.0), start=0.0)
    assert measured.speaking_rate == pytest.approx(2.0, abs=0.05)
    assert measured.pauses == 0


def test_silence_has_no_level_and_no_pitch() -> None:
    assert prosody(np.zeros(SAMPLE_RATE, np.float32), [], start=0.0) == SILENT


def test_noise_has_a_level_and_no_pitch() -> None:
    noise = np.random.default_rng(2).normal(0, 0.1, 5 * SAMPLE_RATE).astype(np.float32)
    measured = prosody(noise, [], start=0.0)
    assert measured.loudness == pytest.approx(-20, abs=0.1)
    assert (measured.pitch_median, measured.pitch_range) == (None, None)


@pytest.mark.parametrize("samples", [0, 1, 511, 512, 1_500])
def test_too_little_says_nothing_of_pitch_and_rate(samples: int) -> None:
    measured = prosody(buzz(np.full(samples, 200.0)), words(2, 0.09), start=0.0)
    assert (measured.pitch_median, measured.pitch_range, measured.speaking_rate) == (None,) * 3
    assert (measured.loudness is not None) == (samples >= 512)


def test_a_word_without_length_is_not_measured(speech: np.ndarray) -> None:
    assert prosody(speech, [Word("so", 4.9, 4.9, 1.0)], start=0.0) == SILENT


@settings(deadline=None, max_examples=50)
@given(
    samples=arrays(np.int16, st.integers(0, 6_000), elements=st.integers(-32768, 32767)),
    count=st.integers(0, 4),
    length=st.floats(0.0, 1.0),
    start=st.floats(0.0, 20_000.0),
)
def test_whatever_is_heard_nothing_is_nan(
    samples: np.ndarray, count: int, length: float, start: float
) -> None:
    audio = samples.astype(np.float32) / 32768
    spoken = words(count, length, start) if count else []
    for value in asdict(prosody(audio, spoken, start=start)).values():
        assert value is None or math.isfinite(value)
