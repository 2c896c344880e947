"""Who is speaking: voice embeddings of short windows of speech.

Speech is cut at its pauses into phrases, and phrases at their quietest places into pieces of
half a second to a second. Where the speaker changes, there is nearly always such a place. A
window is two pieces that follow each other, so that each piece is heard twice, and windows end
where voices do. CAM++ (Wang et al. 2023, https://arxiv.org/abs/2303.00332) says what each is
like; its weights are those of the 3D-Speaker project (:mod:`ml.training.voice_encoder`).
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ml.errors import ModelUnavailable
from ml.processors import cores
from ml.source.wav import SAMPLE_RATE
from ml.speech.speakers.fbank import FRAMES_PER_SECOND, fbank
from ml.stage import Span, Voice

if TYPE_CHECKING:
    import onnxruntime

Floats = NDArray[np.float32]

ENCODER = Path(__file__).with_name("voice_encoder.onnx")
_LOADING = threading.Lock()
_BATCH = 8
"""Windows that run at once; more would leave the core's cache."""

_SHORTEST, _LONGEST = 50, 100
"""Frames in a piece. What the encoder hears, it hears for half a second at least."""
_STEP = 10
"""Windows lose up to so many frames, so that few lengths are left and they run together."""
_PAUSE = 25
"""Frames of quiet that end a phrase."""
_MARGIN = 10
"""Frames of quiet that belong to the speech beside them: words begin and end softly."""
_SMOOTHING = 9
_QUIET = 0.08
"""How far between the silence and the loudest speech of a part the line of quiet is drawn."""


class _Window(NamedTuple):
    start: float
    """In seconds from the beginning of the part."""
    end: float
    mels: Floats


def voices(
    audio: Floats, speech: Sequence[Span], *, offset: float, check: Callable[[], None]
) -> list[Voice]:
    """Return what the voices in one part of a recording are like, window by window.

    Args:
        audio: one part of a recording, mono at 16 kHz.
        speech: the stretches in which somebody speaks, in seconds from the part's start.
        offset: where the part begins in the recording, in seconds.
        check: called before each batch of windows; may raise.

    Returns:
        Windows of at most two seconds in the order of time, which overlap by half. Times
        count from the recording's start.

    Raises:
        ModelUnavailable: the encoder's weights are damaged.

    """
    windows = list(_windows(audio, speech))
    vectors = _embed([window.mels for window in windows], check)
    return [
        Voice(
            round(offset + window.start, 3),
            round(offset + window.end, 3),
            vector.astype("<f2").tobytes(),
        )
        for window, vector in zip(windows, vectors, strict=True)
    ]


def _windows(audio: Floats, speech: Sequence[Span]) -> Iterator[_Window]:
    regions = [(span.start, fbank(_samples(audio, span))) for span in speech]
    regions = [(start, mels) for start, mels in regions if len(mels)]
    if not regions:
        return
    quiet = _line_of_quiet(np.concatenate([mels.mean(axis=1) for _, mels in regions]))
    for start, mels in regions:
        loudness = _smoothed(mels.mean(axis=1))
        for phrase in _phrases(loudness > quiet):
            cuts = _cuts(loudness, phrase)
            # A phrase of one piece is a window of its own.
            for first, last in zip(cuts, cuts[2:] or cuts[1:], strict=False):
                yield _Window(
                    start + first / FRAMES_PER_SECOND,
                    start + last / FRAMES_PER_SECOND,
                    _heard(mels[first:last]),
                )


def _samples(audio: Floats, span: Span) -> Floats:
    return audio[round(span.start * SAMPLE_RATE) : round(span.end * SAMPLE_RATE)]


def _line_of_quiet(loudness: Floats) -> float:
    """Return the loudness below which a frame is a pause."""
    silence, speech = np.quantile(loudness, [0.02, 0.95])
    return float(silence + _QUIET * (speech - silence))


def _smoothed(loudness: Floats) -> Floats:
    padded = np.pad(loudness, _SMOOTHING // 2, mode="edge")
    kernel = np.full(_SMOOTHING, 1 / _SMOOTHING, np.float32)
    return np.convolve(padded, kernel, "valid")[: len(loudness)]


def _phrases(loud: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return first and last-plus-one frame of each stretch without a pause.

    All of it where nothing is loud: the detector heard somebody all the same.
    """
    frames = np.flatnonzero(loud)
    if not len(frames):
        return [(0, len(loud))]
    breaks = np.flatnonzero(np.diff(frames) > _PAUSE)
    firsts = np.concatenate([frames[:1], frames[breaks + 1]]) - _MARGIN
    lasts = np.concatenate([frames[breaks], frames[-1:]]) + 1 + _MARGIN
    return [
        (max(0, int(first)), min(len(loud), int(last)))
        for first, last in zip(firsts, lasts, strict=True)
    ]


def _cuts(loudness: Floats, phrase: tuple[int, int]) -> list[int]:
    """Return where the pieces of a phrase begin, and where the last one ends."""
    cuts, last = [phrase[0]], phrase[1]
    while last - cuts[-1] > _LONGEST:
        earliest = cuts[-1] + _SHORTEST
        latest = min(cuts[-1] + _LONGEST, last - _SHORTEST)
        cuts.append(earliest + int(loudness[earliest : latest + 1].argmin()))
    return [*cuts, last]


def _heard(mels: Floats) -> Floats:
    """Return the frames as the encoder wants them: enough of them, around a mean of zero."""
    if len(mels) < _SHORTEST:
        mels = np.resize(mels, (_SHORTEST, mels.shape[1]))
    lost = len(mels) % _STEP
    mels = mels[lost // 2 : len(mels) - (lost - lost // 2)]
    centred: Floats = mels - mels.mean(axis=0)
    return centred


def _embed(windows: Sequence[Floats], check: Callable[[], None]) -> Floats:
    """Return a unit vector for each window, ``(n, 192)``."""
    encoder = _encoder()
    vectors = np.zeros((len(windows), encoder.get_outputs()[0].shape[1]), np.float32)
    # Two batches a core: one runs, one waits, and a cancel is heard soon.
    running: deque[tuple[list[int], Future[Floats]]] = deque()
    with ThreadPoolExecutor(cores(), "voices") as pool:
        for places in _batches(windows):
            if len(running) == 2 * cores():
                done, future = running.popleft()
                vectors[done] = future.result()
            check()
            batch = np.stack([windows[place] for place in places])
            running.append((places, pool.submit(_run, encoder, batch)))
        for done, future in running:
            vectors[done] = future.result()
    unit: Floats = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def _batches(windows: Sequence[Floats]) -> Iterator[list[int]]:
    """Yield the places of windows of one length, a few at a time."""
    by_length: defaultdict[int, list[int]] = defaultdict(list)
    for place, window in enumerate(windows):
        by_length[len(window)].append(place)
    for places in by_length.values():
        for start in range(0, len(places), _BATCH):
            yield places[start : start + _BATCH]


def _run(encoder: onnxruntime.InferenceSession, batch: Floats) -> Floats:
    embedding: Floats = encoder.run(["embedding"], {"mels": batch})[0]
    return embedding


def _encoder() -> onnxruntime.InferenceSession:
    # The cache alone would load as many as there are threads that ask at first.
    with _LOADING:
        return _loaded()


@lru_cache(maxsize=1)
def _loaded() -> onnxruntime.InferenceSession:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # The parallel work is over batches.
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(
            ENCODER.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # ONNX Runtime's own exceptions share no public base class
        raise ModelUnavailable("The voice encoder's weights are damaged.") from error
