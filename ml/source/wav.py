"""The one audio format inside the pipeline: WAV, 16 kHz, mono, 16-bit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from ml.stage import Span

SAMPLE_RATE = 16_000
BYTES_PER_SAMPLE = 2
_HEADER_BYTES = 44
_FADE_SAMPLES = 80
"""Five milliseconds: short, and long enough not to click."""
_CHUNK_SAMPLES = 1 << 20
"""A minute at a time, so that memory does not grow with the recording."""


def read_span(file: IO[bytes], span: Span) -> npt.NDArray[np.float32]:
    """Return the samples of one stretch of an open WAV file, in -1..1.

    Only that stretch is read. A stretch that reaches past the end is cut there.
    """
    first = round(span.start * SAMPLE_RATE)
    count = round(span.end * SAMPLE_RATE) - first
    file.seek(_HEADER_BYTES + first * BYTES_PER_SAMPLE)
    data = file.read(count * BYTES_PER_SAMPLE)
    return np.frombuffer(data, dtype="<i2").astype(np.float32) / 32768.0


def silence(source: IO[bytes], target: Path, spans: Sequence[Span]) -> None:
    """Copy an open WAV file with nothing to be heard in some stretches.

    Every sample that a stretch touches becomes zero. Before and after it the sound fades within
    5 ms. Stretches may overlap, come in any order and reach past the recording; an empty one
    silences nothing.
    """
    edges = [
        (math.floor(span.start * SAMPLE_RATE), math.ceil(span.end * SAMPLE_RATE))
        for span in spans
        if span.end > span.start
    ]
    source.seek(0)
    with target.open("wb") as sink:
        sink.write(source.read(_HEADER_BYTES))
        position = 0
        while data := source.read(_CHUNK_SAMPLES * BYTES_PER_SAMPLE):
            samples = np.frombuffer(data, dtype="<i2")
            sink.write((samples * _gains(position, len(samples), edges)).astype("<i2").tobytes())
            position += len(samples)


def _gains(position: int, count: int, edges: Sequence[tuple[int, int]]) -> npt.NDArray[np.float32]:
    """Return 0..1 for each of ``count`` samples from ``position`` on."""
    gains = np.ones(count, np.float32)
    for first, last in edges:
        begin = max(0, first - _FADE_SAMPLES - position)
        end = min(count, last + _FADE_SAMPLES - position)
        if begin < end:
            places = position + np.arange(begin, end)
            distance = np.maximum(first - places, places - last + 1).clip(0, _FADE_SAMPLES)
            gains[begin:end] = np.minimum(gains[begin:end], distance / _FADE_SAMPLES)
    return gains
