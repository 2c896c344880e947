"""Voice activity: the stretches of a recording worth handing to the recogniser.

Whisper invents words where nobody speaks, so it only ever hears what the Silero detector
takes for speech (Silero VAD v6, shipped with faster-whisper).
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.processors import cores
from ml.source.wav import SAMPLE_RATE
from ml.stage import Span

FRAME_SAMPLES = 512
"""The detector judges 32 ms at a time."""
FRAME_SECONDS = FRAME_SAMPLES / SAMPLE_RATE
MAX_REGION_SECONDS = 28.0
"""Whisper hears 30 s at a time; a longer region would be cut in the middle of a word."""
PAD_SECONDS = 0.3
"""Added before and after each region, because words begin and end softly."""

_ENTER = 0.5
_LEAVE = 0.35
"""Speech begins above the first probability and ends below the second, as Silero advises."""
_MIN_SPEECH_SECONDS = 0.1
_MIN_SILENCE_SECONDS = 0.5
_PAUSE_FRAMES = 6
"""A region that is too long is cut at the least speech-like fifth of a second of its last
ten seconds."""
_SEARCH_SECONDS = 10.0
_CHUNK_FRAMES = 2048
"""Judged at once: about a minute, so that memory does not grow with the recording."""
_RUN_UP_FRAMES = 128
"""The detector remembers: before each chunk it hears four seconds of what came before."""
_CONTEXT_SAMPLES = 64
_STATE = 128


def speech_probabilities(audio: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the probability of speech for each whole frame of samples.

    Chunks are judged side by side, on as many cores as there are.
    """
    frames = len(audio) // FRAME_SAMPLES
    if not frames:
        return np.zeros(0, np.float32)
    starts = range(0, frames, _CHUNK_FRAMES)
    with ThreadPoolExecutor(min(cores(), len(starts))) as pool:
        chunks = pool.map(lambda first: _judge(audio, first, frames), starts)
        return np.concatenate(list(chunks))


def _judge(audio: npt.NDArray[np.float32], first: int, frames: int) -> npt.NDArray[np.float32]:
    """Return the probabilities of the chunk that begins with frame ``first``."""
    begin = max(0, first - _RUN_UP_FRAMES)
    end = min(first + _CHUNK_FRAMES, frames)
    heard = audio[begin * FRAME_SAMPLES : end * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    context = np.zeros((len(heard), _CONTEXT_SAMPLES), np.float32)
    context[1:] = heard[:-1, -_CONTEXT_SAMPLES:]
    state = np.zeros((1, 1, _STATE), np.float32)
    output, _, _ = _session().run(
        None, {"input": np.concatenate([context, heard], axis=1), "h": state, "c": state}
    )
    return np.asarray(output, np.float32).reshape(-1)[first - begin :]


def speech_regions(probabilities: npt.NDArray[np.float32]) -> list[Span]:
    """Return the stretches of speech in seconds, in order, each of at most 28 s, padded.

    Silences shorter than half a second belong to the speech around them.
    """
    total = len(probabilities)
    regions = [
        piece
        for begin, end in _merged(_runs(probabilities))
        if (end - begin) * FRAME_SECONDS >= _MIN_SPEECH_SECONDS
        for piece in _short_enough(probabilities, begin, end)
    ]
    pad = round(PAD_SECONDS / FRAME_SECONDS)
    padded: list[Span] = []
    for number, (begin, end) in enumerate(regions):
        # Neighbours share the silence between them; what was cut apart gets none.
        before = regions[number - 1][1] if number else 0
        after = regions[number + 1][0] if number + 1 < len(regions) else total
        start = begin - min(pad, (begin - before) // (2 if number else 1))
        stop = end + min(pad, (after - end) // (2 if number + 1 < len(regions) else 1))
        padded.append(Span(start * FRAME_SECONDS, stop * FRAME_SECONDS))
    return padded


def _runs(probabilities: npt.NDArray[np.float32]) -> Iterator[tuple[int, int]]:
    """Yield first and last-plus-one frame of each run of speech, with hysteresis."""
    begin: int | None = None
    for frame, probability in enumerate(probabilities.tolist()):
        if begin is None and probability >= _ENTER:
            begin = frame
        elif begin is not None and probability < _LEAVE:
            yield begin, frame
            begin = None
    if begin is not None:
        yield begin, len(probabilities)


def _merged(runs: Iterator[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for begin, end in runs:
        if merged and (begin - merged[-1][1]) * FRAME_SECONDS < _MIN_SILENCE_SECONDS:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((begin, end))
    return merged


def _short_enough(
    probabilities: npt.NDArray[np.float32], begin: int, end: int
) -> Iterator[tuple[int, int]]:
    """Cut a run that is too long, each time at the last good pause that still fits."""
    longest = int(MAX_REGION_SECONDS / FRAME_SECONDS)
    while end - begin > longest:
        first = begin + int((MAX_REGION_SECONDS - _SEARCH_SECONDS) / FRAME_SECONDS)
        near = probabilities[first : begin + longest]
        around = np.convolve(near, np.ones(_PAUSE_FRAMES), mode="valid")
        cut = first + int(np.argmin(around)) + _PAUSE_FRAMES // 2
        yield begin, cut
        begin = cut
    yield begin, end


@lru_cache(maxsize=1)
def _session() -> Any:
    from faster_whisper.vad import get_vad_model

    return get_vad_model().session
