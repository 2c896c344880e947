"""Where a long recording may be cut: at the quietest moment for the voice activity detector."""

from __future__ import annotations

import itertools
import math
from typing import IO

import numpy as np

from ml.source.wav import SAMPLE_RATE, read_span
from ml.speech.activity import FRAME_SAMPLES, speech_probabilities
from ml.stage import Span

SEARCH_SECONDS = 15.0
"""How far before and after the ideal cut a pause is looked for."""
_PAUSE_FRAMES = 12
"""A cut wants about 0.4 s without speech around it."""
_DISTANCE_PENALTY = 0.05


def cut(file: IO[bytes], duration: float, part_seconds: float) -> tuple[Span, ...]:
    """Return consecutive stretches of about equal length that cover an open WAV file.

    There are as few as keep each near ``part_seconds``. Only the surroundings of each cut
    are read, so memory does not grow with the recording.
    """
    count = math.ceil(duration / part_seconds)
    ideal = [duration * number / count for number in range(1, count)]
    borders = [0.0, *(_pause_near(file, time, duration) for time in ideal), duration]
    return tuple(Span(start, end) for start, end in itertools.pairwise(borders))


def _pause_near(file: IO[bytes], time: float, duration: float) -> float:
    """Return the time of the least speech-like moment near ``time``, in seconds."""
    start = max(0.0, time - SEARCH_SECONDS)
    samples = read_span(file, Span(start, min(duration, time + SEARCH_SECONDS)))
    speech = speech_probabilities(samples)
    around = np.convolve(speech, np.full(_PAUSE_FRAMES, 1 / _PAUSE_FRAMES), mode="same")
    times = start + (np.arange(len(around)) + 0.5) * FRAME_SAMPLES / SAMPLE_RATE
    distance = np.abs(times - time) / SEARCH_SECONDS
    # The ends of the stretch look quiet to the convolution only because nothing is there.
    edge = _PAUSE_FRAMES // 2 + 1
    score = (around + _DISTANCE_PENALTY * distance)[edge:-edge]
    return float(times[edge:-edge][np.argmin(score)])
