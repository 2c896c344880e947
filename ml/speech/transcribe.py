"""The transcribe stage: one part of a recording to timed words, and what may be kept of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ml.errors import LanguageUnsupported
from ml.memory import give_back
from ml.options import PiiPolicy
from ml.results import Word
from ml.source.wav import SAMPLE_RATE, read_span
from ml.speech.activity import speech_probabilities, speech_regions
from ml.speech.engines.heard import Heard
from ml.speech.hearing import Listener, windows_of
from ml.speech.languages import spoken
from ml.speech.patience import Patience
from ml.speech.translation import translated
from ml.speech.windows import Window
from ml.stage import Context, Passage, Recording, Span, Transcript, Voice
from ml.text.language import ENGLISH, name_of

Samples = npt.NDArray[np.float32]

_LANGUAGE_WINDOWS = 3
"""So many are asked for their language, where the first does not decide."""


def transcribe(context: Context, recording: Recording, part: int) -> Transcript:
    """Transcribe one part of a recording; times count from the recording's start.

    Where the options ask for it, foreign speech is translated, voices are described for
    telling speakers apart, and what shall not be kept is taken out: nothing leaves here, and
    nothing is stored, that the caller wanted to have redacted.

    Raises:
        SpeechError: the recogniser took longer than ``transcription.timeout``, or a speech
            service failed.
        LanguageUnsupported: something else than English is spoken.
        ModelUnavailable: the weights are missing.
        ExtraMissing: what an option needs is not installed.
        Cancelled: the caller asked to stop.

    """
    options = context.options
    if options.transcription.method == "assemblyai":
        return _by_service(context, recording)
    if options.privacy.policies:
        from ml.text.pii import redaction

        redaction.require()
    if options.diarization.wanted and options.diarization.method == "pyannote":
        from ml.speech.speakers import pyannote

        pyannote.require()
    heard = _heard_here(context, recording, part)
    give_back()
    return _redacted(
        heard,
        options.privacy.policies,
        first=part == 0,
        last=part == len(recording.parts) - 1,
    )


def _by_service(context: Context, recording: Recording) -> Transcript:
    """Transcribe a recording through AssemblyAI, which also tells speakers apart and redacts."""
    from ml.speech.engines import assemblyai

    with context.store.open(recording.audio) as wav:
        heard = assemblyai.transcribe(
            wav, context.options, check=context.check, progress=context.progress
        )
    if heard.language != ENGLISH:
        raise LanguageUnsupported(
            f"The recording is in {name_of(heard.language)}; the classifier reads English.",
            hint="Choose another transcription.method, which can translate.",
        )
    return Transcript(
        heard.language,
        heard.language_probability,
        tuple(_exact(word, 0.0) for word in heard.words),
        heard.model,
        redacted=heard.redacted,
    )


def _heard_here(context: Context, recording: Recording, part: int) -> Transcript:
    span = recording.parts[part]
    patience = Patience(context.check, context.options.transcription.timeout)
    with context.store.open(recording.audio) as wav:
        audio = read_span(wav, span)
    speech = patience.run(lambda: speech_probabilities(audio))
    with ThreadPoolExecutor(1, thread_name_prefix="voices") as pool:
        # Beside the recogniser: on a machine with a GPU the processor has nothing else to do.
        voices = pool.submit(_voices, context, audio, speech, span.start)
        heard, passages = _heard(context, patience, audio, speech)
        found = patience.run(voices.result)
    return Transcript(
        heard.language,
        heard.language_probability,
        tuple(_exact(word, span.start) for word in heard.words),
        heard.model,
        voices=tuple(found),
        passages=tuple(_later(passage, span.start) for passage in passages),
    )


def _heard(
    context: Context, patience: Patience, audio: Samples, speech: npt.NDArray[np.float32]
) -> tuple[Heard, list[Passage]]:
    options = context.options.transcription
    windows = windows_of(speech)
    # Not in a thread: a model that was loaded in a thread that has ended runs several times
    # slower afterwards (CTranslate2 4.8, measured).
    found = spoken(options, [window.samples(audio) for window in _few(windows)])
    listener = Listener(found.engine, found.language, options.beam_size, options.batch_size)
    foreign = found.language != ENGLISH
    seconds = len(audio) / SAMPLE_RATE
    hearing, translating = (0.0, 0.5), (0.5, 0.5)
    report = _reporter(context, patience, seconds, *(hearing if foreign else (0.0, 1.0)))
    words = patience.run(lambda: listener.hear(audio, speech, report))
    passages: list[Passage] = []
    if foreign:
        report = _reporter(context, patience, seconds, *translating)
        passages = patience.run(lambda: translated(listener, audio, speech, words, report))
    return Heard(found.language, found.probability, tuple(words), found.engine.name), passages


def _few(windows: Sequence[Window]) -> Sequence[Window]:
    """Return the first, the middle and the last window."""
    if len(windows) <= _LANGUAGE_WINDOWS:
        return windows
    return windows[0], windows[len(windows) // 2], windows[-1]


def _reporter(
    context: Context, patience: Patience, seconds: float, start: float, share: float
) -> Callable[[float], None]:
    """Return what reports progress, and stops whoever reports when nobody waits any more."""

    def report(fraction: float) -> None:
        patience.look()
        done = start + fraction * share
        context.progress(done, f"{done * seconds:.0f} of {seconds:.0f} s")

    return report


def _voices(
    context: Context, audio: Samples, speech: npt.NDArray[np.float32], offset: float
) -> list[Voice]:
    options = context.options.diarization
    if not options.wanted:
        return []
    if options.method == "pyannote":
        from ml.speech.speakers import pyannote

        return pyannote.voices(audio, offset=offset, check=context.check)
    from ml.speech.speakers.voices import voices

    return voices(audio, speech_regions(speech), offset=offset, check=context.check)


def _redacted(
    transcript: Transcript, policies: Sequence[PiiPolicy], *, first: bool, last: bool
) -> Transcript:
    """Return a transcript without what the policies name.

    The detector reads English. Of foreign speech only the translation is kept, and where that
    names something, the whole sentence counts as the place where it was said. ``first`` and
    ``last`` say whether the recording begins and ends with this part; elsewhere a number may
    go on beyond it.
    """
    if not policies:
        return transcript
    from ml.text.pii import redaction

    if not transcript.passages:
        found = redaction.redact(
            transcript.words, policies, open_start=not first, open_end=not last
        )
        return replace(transcript, words=found.words, redacted=found.spans)
    english = [passage for passage in transcript.passages if passage.english]
    texts = redaction.redact_passages([passage.text for passage in english], policies)
    kept = [replace(passage, text=text) for passage, text in zip(english, texts, strict=True)]
    # What nobody could translate, nobody can look through either.
    hidden = [
        Span(passage.start, passage.end) for passage in transcript.passages if passage not in kept
    ]
    passages = tuple(passage for passage in kept if passage.text)
    return replace(transcript, words=(), passages=passages, redacted=tuple(hidden))


def _exact(word: Word, offset: float) -> Word:
    """Return the word with the recording's times, rounded to milliseconds."""
    start, end = round(word.start + offset, 3), round(word.end + offset, 3)
    return Word(word.text, start, end, round(word.probability, 4), word.speaker)


def _later(passage: Passage, offset: float) -> Passage:
    start, end = round(passage.start + offset, 3), round(passage.end + offset, 3)
    return replace(passage, start=start, end=end)
