"""Sounds without a word in them: silence, noise, hum, clicks, applause, music from a score.

All are mono at 16 kHz in -1..1, and the same for the same seed. Levels are in dB relative to a
sine at full scale.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ml.source.wav import SAMPLE_RATE

Samples = npt.NDArray[np.float32]
Spectrum = npt.NDArray[np.float64]

NOISE_LEVELS = (-50, -30, -10)
_COLOURS = {"white": 0.0, "pink": 0.5, "brown": 1.0}
"""The amplitude falls with the frequency to this power."""
_MELODY = (0, 4, 7, 12, 11, 7, 9, 5, 4, 0, 2, -5)
"""In semitones from middle C, a note each third of a second, over a chord each second."""
_CHORDS = ((-12, 0, 4, 7), (-7, 0, 5, 9), (-5, -1, 2, 7), (-12, 0, 4, 7))
_MIDDLE_C = 261.63


def level(samples: npt.NDArray[np.floating], decibels: float) -> Samples:
    """Return the samples at a level, their mean power compared with that of a full sine."""
    power = float(np.sqrt(2 * np.mean(np.square(samples, dtype=np.float64))))
    return (samples * (10 ** (decibels / 20) / max(power, 1e-12))).astype(np.float32)


def noise(colour: str, seconds: float, seed: int = 0) -> Samples:
    """Return white, pink or brown noise: a flat spectrum, or one that falls, above 20 Hz."""
    count = int(seconds * SAMPLE_RATE)
    white = np.fft.rfft(np.random.default_rng(seed).normal(size=count))
    frequencies = np.maximum(np.fft.rfftfreq(count, 1 / SAMPLE_RATE), 20.0)
    return np.asarray(np.fft.irfft(white / frequencies ** _COLOURS[colour], count), np.float32)


def hum(seconds: float) -> Samples:
    """Return mains hum, 50 Hz with six overtones."""
    times = _times(seconds)
    tones = [np.sin(2 * np.pi * 50 * n * times) / n for n in range(1, 8)]
    return np.asarray(np.sum(tones, axis=0), np.float32)


def clicks(seconds: float, seed: int = 0) -> Samples:
    """Return clicks of about a millisecond, three a second at random times."""
    return _bursts(seconds, per_second=3, decay=0.001, seed=seed)


def applause(seconds: float, seed: int = 0) -> Samples:
    """Return clapping of a hall: two hundred bursts of noise a second, each of some 10 ms."""
    return _bursts(seconds, per_second=200, decay=0.01, seed=seed)


def melody(seconds: float) -> Samples:
    """Return a tune of plucked notes over chords."""
    samples = np.zeros(int(seconds * SAMPLE_RATE), np.float32)
    for number in range(int(seconds * 3)):
        _add(samples, number / 3, _note(_MELODY[number % len(_MELODY)], 0.6))
    for number in range(int(seconds)):
        for pitch in _CHORDS[number % len(_CHORDS)]:
            _add(samples, float(number), 0.4 * _note(pitch, 1.5))
    return samples


def wordless(seconds: float) -> dict[str, Samples]:
    """Return all of them by name, each so long."""
    silence = np.zeros(int(seconds * SAMPLE_RATE), np.float32)
    noises = {
        f"{colour} noise, {decibels} dB": level(noise(colour, seconds), decibels)
        for colour in _COLOURS
        for decibels in NOISE_LEVELS
    }
    others = {
        "hum": level(hum(seconds), -20),
        "clicks": level(clicks(seconds), -30),
        "applause": level(applause(seconds), -20),
        "melody and chords": level(melody(seconds), -20),
    }
    return {"digital silence": silence} | noises | others


def _times(seconds: float) -> Spectrum:
    return np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE


def _bursts(seconds: float, *, per_second: float, decay: float, seed: int) -> Samples:
    random = np.random.default_rng(seed)
    samples = np.zeros(int(seconds * SAMPLE_RATE), np.float32)
    times = _times(8 * decay)
    for start in random.uniform(0, seconds, int(seconds * per_second)):
        envelope = random.uniform(0.2, 1.0) * np.exp(-times / decay)
        _add(samples, start, envelope * random.normal(size=len(times)))
    return samples


def _note(semitones: int, seconds: float) -> Spectrum:
    times = _times(seconds)
    frequency = _MIDDLE_C * 2 ** (semitones / 12)
    partials = [np.sin(2 * np.pi * frequency * n * times) / n**2 for n in range(1, 6)]
    return np.asarray(np.sum(partials, axis=0) * np.exp(-3 * times))


def _add(samples: Samples, start: float, sound: npt.NDArray[np.floating]) -> None:
    first = int(start * SAMPLE_RATE)
    room = samples[first : first + len(sound)]
    room += sound[: len(room)].astype(np.float32)
