"""Whisper through faster-whisper: one model per process, words with times out."""

from __future__ import annotations

import threading
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.errors import ModelUnavailable
from ml.processors import cores
from ml.results import Word
from ml.source.wav import SAMPLE_RATE
from ml.speech.weights import resolve

NO_SPEECH_PROBABILITY = 0.6
MIN_LOG_PROBABILITY = -1.0
"""Segments below it, or probably without speech and below half of it, are made up."""
TEMPERATURES = (0.0, 0.2, 0.4)
"""Hotter sampling rarely rescues a segment, costs most of the time and invents words."""
_LOADING = threading.Lock()


class Whisper:
    """A loaded Whisper model."""

    def __init__(self, directory: Path, name: str, threads: int) -> None:
        import ctranslate2
        import faster_whisper

        on_gpu = ctranslate2.get_cuda_device_count() > 0
        try:
            self._model = faster_whisper.WhisperModel(
                str(directory),
                device="cuda" if on_gpu else "cpu",
                compute_type="float16" if on_gpu else "int8",
                # Left to itself it starts four threads, on however few cores.
                cpu_threads=threads or cores(),
            )
        except (RuntimeError, OSError, ValueError) as error:
            raise ModelUnavailable("The speech model's weights are damaged.") from error
        self.name = f"{name} faster-whisper-{faster_whisper.__version__}"
        self.multilingual = bool(self._model.model.is_multilingual)

    def detect_language(self, audio: npt.NDArray[np.float32]) -> tuple[str, float]:
        """Return the language spoken, as an ISO 639-1 code, and its probability."""
        if not self.multilingual:
            return "en", 1.0
        language, probability, _ = self._model.detect_language(audio=audio)
        return str(language), float(probability)

    def words(self, audio: npt.NDArray[np.float32], *, language: str, beam_size: int) -> list[Word]:
        """Return the words of at most 30 s of samples; times count from their start."""
        segments, _ = self._model.transcribe(
            audio,
            language=language,
            beam_size=beam_size,
            temperature=list(TEMPERATURES),
            # A mistake shall not be carried into the next window.
            condition_on_previous_text=False,
            no_speech_threshold=NO_SPEECH_PROBABILITY,
            log_prob_threshold=MIN_LOG_PROBABILITY,
            word_timestamps=True,
            vad_filter=False,
        )
        end = len(audio) / SAMPLE_RATE
        return _joined([word for s in segments if _plausible(s) for word in s.words], end)


def _plausible(segment: Any) -> bool:
    if segment.no_speech_prob > NO_SPEECH_PROBABILITY:
        return bool(segment.avg_logprob > MIN_LOG_PROBABILITY / 2)
    return bool(segment.avg_logprob > MIN_LOG_PROBABILITY)


def _joined(pieces: list[Any], end: float) -> list[Word]:
    """Return whole words: Whisper gives "twenty" and "-one" where people say one word."""
    words: list[Word] = []
    for piece in pieces:
        text = piece.word.strip()
        if not text:
            continue
        start, stop = float(min(piece.start, end)), float(min(piece.end, end))
        if words and not piece.word.startswith(" "):
            last = words[-1]
            probability = min(last.probability, float(piece.probability))
            words[-1] = Word(last.text + text, last.start, max(stop, last.start), probability)
        else:
            words.append(Word(text, start, max(stop, start), float(piece.probability)))
    return words


def load(model: str, threads: int) -> Whisper:
    """Return this process's model, loaded once; raise ModelUnavailable."""
    # The cache alone would load as many as there are threads that ask at first.
    with _LOADING:
        return _load(model, threads)


@lru_cache(maxsize=1)
def _load(model: str, threads: int) -> Whisper:
    directory = resolve(model)
    return Whisper(directory, Path(model).name, threads)


def warm(model: str, threads: int) -> None:
    """Load the model and run it once, so that the first job does not wait for it."""
    load(model, threads).words(np.zeros(SAMPLE_RATE, np.float32), language="en", beam_size=1)
