"""Log-mel energies as Kaldi computes them, which is what speaker encoders learn from."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ml.source.wav import SAMPLE_RATE

MEL_BANDS = 80
FRAMES_PER_SECOND = 100

_HOP = SAMPLE_RATE // FRAMES_PER_SECOND
_WIDTH = SAMPLE_RATE // 40
_FFT = 512
_LOWEST_HERTZ = 20.0
_PREEMPHASIS = np.float32(0.97)
_FLOOR = np.finfo(np.float32).eps
_BLOCK = 2_000
"""Frames at once: twenty seconds, so that memory stays flat."""

Floats = NDArray[np.float32]


def fbank(audio: Floats) -> Floats:
    """Return the natural logarithms of the mel energies, ``(frames, 80)``.

    ``audio`` is mono at 16 kHz. A frame has 25 ms and begins every 10 ms; what is left at the
    end makes none. Kaldi's defaults without dither: no offset, pre-emphasis, Povey's window,
    power spectrum, triangles on the mel scale from 20 Hz up.
    """
    if len(audio) < _WIDTH:
        return np.zeros((0, MEL_BANDS), np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(audio, _WIDTH)[::_HOP]
    blocks = range(0, len(frames), _BLOCK)
    return np.concatenate([_log_mels(frames[start : start + _BLOCK]) for start in blocks])


def _log_mels(frames: Floats) -> Floats:
    level = frames - frames.mean(axis=1, keepdims=True)
    before = np.concatenate([level[:, :1], level[:, :-1]], axis=1)
    spectrum = np.fft.rfft((level - _PREEMPHASIS * before) * _window(), _FFT)[:, :-1]
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    mels: Floats = np.log(np.maximum(power @ _filters(), _FLOOR))
    return mels


@lru_cache(maxsize=1)
def _window() -> Floats:
    """Return Povey's window: Hann's, raised to a power so that it does not fall to zero."""
    return np.power(np.hanning(_WIDTH), 0.85).astype(np.float32)


@lru_cache(maxsize=1)
def _filters() -> Floats:
    """Return the triangles, ``(256, 80)``."""
    bins = _mel(np.arange(_FFT // 2) * SAMPLE_RATE / _FFT)[:, None]
    edges = np.linspace(_mel(_LOWEST_HERTZ), _mel(SAMPLE_RATE / 2), MEL_BANDS + 2)
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.maximum(np.minimum(rising, falling), 0).astype(np.float32)


def _mel(hertz: float | NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1127 * np.log1p(np.asarray(hertz) / 700))
