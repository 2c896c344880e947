"""Voices through pyannote.audio, for those who have its weights.

Its pipeline ``community-1`` hears who speaks when within one part, also where two speak at
once; of those it keeps the one who is clearer, since a word has one speaker. Its speakers of all
parts are joined like our own windows (:mod:`ml.speech.speakers.clustering`), whose thresholds were
not measured with its embeddings. The weights are pickles that the package loads by itself, an
exception to the rule of this project which whoever chooses this method makes knowingly.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ml.errors import ExtraMissing, ModelUnavailable
from ml.source.wav import SAMPLE_RATE
from ml.stage import Voice

PIPELINE: Final = "pyannote/speaker-diarization-community-1"
_LOADING = threading.Lock()


def require() -> None:
    """Raise :class:`~ml.errors.ExtraMissing` if pyannote.audio is not installed."""
    try:
        # Other distributions have a package `pyannote` too, which looking inside would import.
        version("pyannote.audio")
    except PackageNotFoundError as error:
        raise ExtraMissing(
            "diarization.method is pyannote, and pyannote.audio is not installed.",
            hint="Install it with pip install 'emotion-clf[pyannote]', or choose embeddings.",
        ) from error


def voices(audio: NDArray[np.float32], *, offset: float, check: Callable[[], None]) -> list[Voice]:
    """Return who speaks when in one part of a recording: turns that do not overlap.

    Args:
        audio: one part of a recording, mono at 16 kHz.
        offset: where the part begins in the recording, in seconds.
        check: called between the steps of the pipeline; may raise.

    Raises:
        ExtraMissing: pyannote.audio is not installed.
        ModelUnavailable: its weights are neither in the Hub's cache nor may they be fetched.

    """
    require()
    with _LOADING:
        pipeline = _pipeline()

    import torch

    def hook(*step: Any, **progress: Any) -> None:
        check()

    sound = {"waveform": torch.from_numpy(audio.copy())[None], "sample_rate": SAMPLE_RATE}
    return voices_of(pipeline(sound, hook=hook), offset)


def voices_of(output: Any, offset: float) -> list[Voice]:
    """Return the turns in what the pipeline found (a ``DiarizeOutput``), without overlap.

    Each has its speaker's embedding, one row of ``speaker_embeddings`` a label. Speakers who were
    heard too little to have one are left out.
    """
    labels = output.speaker_diarization.labels()
    rows = zip(labels, output.speaker_embeddings, strict=True)
    embeddings = {label: _unit(row) for label, row in rows}
    return [
        Voice(round(offset + turn.start, 3), round(offset + turn.end, 3), unit)
        for turn, _, label in output.exclusive_speaker_diarization.itertracks(yield_label=True)
        if (unit := embeddings[label])
    ]


def _unit(embedding: NDArray[np.float32]) -> bytes | None:
    """Return the unit vector, or None for the zeros of a speaker heard too little to judge."""
    length = float(np.linalg.norm(embedding))
    if not length or not math.isfinite(length):
        return None
    return (embedding / length).astype("<f2").tobytes()


@lru_cache(maxsize=1)
def _pipeline() -> Any:
    import torch
    from pyannote.audio import Pipeline
    from pyannote.audio.telemetry import set_telemetry_metrics

    # The package reports each run to its makers unless told not to.
    set_telemetry_metrics(False)
    try:
        pipeline = Pipeline.from_pretrained(PIPELINE)
    except Exception as error:
        # The Hub's client raises OSError, ValueError and its HTTP library's own errors.
        raise _unavailable() from error
    if pipeline is None:
        raise _unavailable()
    return pipeline.to(torch.device("cuda" if torch.cuda.is_available() else "cpu"))


def _unavailable() -> ModelUnavailable:
    return ModelUnavailable(
        "The weights of pyannote's pipeline are missing.",
        hint=f"Accept the conditions of {PIPELINE} on the Hugging Face Hub and log in with "
        "hf auth login, or choose diarization.method: embeddings.",
    )
