"""The transcribe stage: one part of a recording to timed words."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from ml.errors import LanguageUnsupported, SpeechTimeout
from ml.results import Word
from ml.source.wav import SAMPLE_RATE, read_span
from ml.speech.activity import speech_windows
from ml.speech.whisper import Whisper, load
from ml.stage import Context, Recording, Span, Transcript
from ml.text.language import name_of

T = TypeVar("T")

LANGUAGE_CONFIDENCE = 0.6
"""A recording is refused for its language only above this probability."""
_CHECK_SECONDS = 0.2


def transcribe(context: Context, recording: Recording, part: int) -> Transcript:
    """Transcribe one part of a recording; times count from the recording's start.

    Raises:
        SpeechTimeout: it took longer than ``transcription.timeout``.
        LanguageUnsupported: something else than English is spoken.
        ModelUnavailable: the weights are missing.
        Cancelled: the caller asked to stop.

    """
    options = context.options.transcription
    span = recording.parts[part]
    patience = _Patience(context.check, options.timeout)
    with context.store.open(recording.audio) as wav:
        audio = read_span(wav, span)
    windows = patience.run(lambda: speech_windows(audio))
    # Not in a thread: a model that was loaded in a thread that has ended runs several times
    # slower afterwards (CTranslate2 4.8, measured).
    whisper = load(options.model, options.threads)
    language, probability = "en", 1.0
    if windows:
        language, probability = patience.run(
            lambda: _language(whisper, _samples(audio, windows[0]))
        )
    words: list[Word] = []
    for window in windows:
        _report(context, window.start, len(audio) / SAMPLE_RATE)
        heard = patience.run(
            lambda window=window: whisper.words(  # type: ignore[misc]
                _samples(audio, window), language=language, beam_size=options.beam_size
            )
        )
        words += [_shifted(word, span.start + window.start) for word in heard]
    return Transcript(language, probability, tuple(words), whisper.name)


def _language(whisper: Whisper, audio: npt.NDArray[np.float32]) -> tuple[str, float]:
    language, probability = whisper.detect_language(audio)
    if language == "en":
        return language, probability
    if probability >= LANGUAGE_CONFIDENCE:
        raise LanguageUnsupported(
            f"The recording is in {name_of(language)}; the classifier reads English."
        )
    return "en", 1.0 - probability


def _samples(audio: npt.NDArray[np.float32], window: Span) -> npt.NDArray[np.float32]:
    return audio[int(window.start * SAMPLE_RATE) : int(window.end * SAMPLE_RATE)]


def _shifted(word: Word, offset: float) -> Word:
    start, end = round(word.start + offset, 3), round(word.end + offset, 3)
    return Word(word.text, start, end, round(word.probability, 4))


def _report(context: Context, done: float, total: float) -> None:
    context.progress(done / total, f"{done:.0f} of {total:.0f} s")


class _Patience:
    """Runs native code that cannot be interrupted, without waiting for it when told to stop.

    One pass of a large model takes many seconds on a busy processor. It runs in a thread of
    its own; when the caller cancels or time is up, that thread is left to finish its pass.
    """

    def __init__(self, check: Callable[[], None], timeout: float) -> None:
        self._check = check
        self._deadline = time.monotonic() + timeout

    def run(self, work: Callable[[], T]) -> T:
        """Return what ``work`` returns; raise what it raises, Cancelled or SpeechTimeout."""
        results: list[T] = []
        errors: list[BaseException] = []

        def target() -> None:
            try:
                results.append(work())
            except BaseException as error:
                errors.append(error)

        # Not a daemon: native code that is still running when the interpreter goes aborts it.
        thread = threading.Thread(target=target, name="transcribe")
        thread.start()
        while thread.is_alive():
            self._check()
            if time.monotonic() > self._deadline:
                raise SpeechTimeout()
            thread.join(_CHECK_SECONDS)
        if errors:
            raise errors[0]
        return results[0]
