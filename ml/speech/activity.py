"""Voice activity: the stretches of a recording worth handing to the recogniser.

Whisper invents words where nobody speaks, so it only ever hears what the Silero detector
takes for speech (Silero VAD v6, shipped with faster-whisper).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ml.source.wav import SAMPLE_RATE
from ml.stage import Span

MAX_WINDOW_SECONDS = 29.0
"""Whisper hears 30 s at a time; a longer window would be cut in the middle of a word."""
MAX_GAP_SECONDS = 3.0
"""A longer silence starts a new window, for want of anything to hear in between."""


FRAME_SAMPLES = 512
"""The detector judges 32 ms at a time."""


def speech_probabilities(audio: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the probability of speech for each whole frame of samples."""
    from faster_whisper.vad import get_vad_model

    whole = audio[: len(audio) // FRAME_SAMPLES * FRAME_SAMPLES]
    return np.asarray(get_vad_model()(whole), dtype=np.float32).reshape(-1)


def speech_windows(audio: npt.NDArray[np.float32]) -> list[Span]:
    """Return stretches of speech in seconds, each short enough for one pass of Whisper."""
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    options = VadOptions(
        min_speech_duration_ms=100,
        max_speech_duration_s=MAX_WINDOW_SECONDS,
        min_silence_duration_ms=500,
        speech_pad_ms=300,
    )
    windows: list[Span] = []
    for region in get_speech_timestamps(audio, options):
        span = Span(region["start"] / SAMPLE_RATE, region["end"] / SAMPLE_RATE)
        if windows and _fits(windows[-1], span):
            windows[-1] = Span(windows[-1].start, span.end)
        else:
            windows.append(span)
    return windows


def _fits(window: Span, span: Span) -> bool:
    return (
        span.end - window.start <= MAX_WINDOW_SECONDS and span.start - window.end <= MAX_GAP_SECONDS
    )
