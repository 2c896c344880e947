"""The transcribe stage: one part of a recording to timed words, and what may be kept of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ml.errors import LanguageUnsupported
from ml.options import PiiPolicy
from ml.results import Word
from ml.source.wav import SAMPLE_RATE, read_span
from ml.speech.activity import speech_probabilities, speech_regions
from ml.speech.engines.heard import Heard
from ml.speech.hearing import WINDOW_SECONDS, Listener
from ml.speech.languages import ENGLISH, spoken
from ml.speech.patience import Patience
from ml.speech.translation import translated
from ml.speech.windows import pack
from ml.stage import Context, Passage, Recording, Span, Transcript, Voice
from ml.text.language import name_of

Samples = npt.NDArray[np.float32]


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
    return _redacted(_heard_here(context, recording, part), options.privacy.policies)


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
    windows = [window.samples(audio) for window in pack(speech_regions(speech), WINDOW_SECONDS)]
    # Not in a thread: a model that was loaded in a thread that has ended runs several times
    # slower afterwards (CTranslate2 4.8, measured).
    found = spoken(options, windows)
    listener = Listener(found.engine, found.language, options.beam_size, options.batch_size)
    foreign = found.language != ENGLISH
    report = _reporter(context, len(audio) / SAMPLE_RATE, 0.5 if foreign else 1.0)
    words = patience.run(lambda: listener.hear(audio, speech, report))
    passages: list[Passage] = []
    if foreign:
        passages = patience.run(lambda: translated(listener, audio, speech, words))
    return Heard(found.language, found.probability, tuple(words), found.engine.name), passages


def _reporter(context: Context, seconds: float, share: float) -> Callable[[float], None]:
    def report(fraction: float) -> None:
        context.check()
        done = fraction * share
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


def _redacted(transcript: Transcript, policies: Sequence[PiiPolicy]) -> Transcript:
    """Return a transcript without what the policies name.

    The detector reads English. Of foreign speech only the translation is kept, and where that
    names something, the whole sentence counts as the place where it was said.
    """
    if not policies:
        return transcript
    from ml.text.pii import redaction

    if not transcript.passages:
        found = redaction.redact(transcript.words, policies)
        return replace(transcript, words=found.words, redacted=found.spans)
    passages = [
        replace(passage, text=redaction.redact_text(passage.text, policies))
        for passage in transcript.passages
    ]
    changed = [
        Span(before.start, before.end)
        for before, after in zip(transcript.passages, passages, strict=True)
        if before != after
    ]
    return replace(transcript, words=(), passages=tuple(passages), redacted=tuple(changed))


def _exact(word: Word, offset: float) -> Word:
    """Return the word with the recording's times, rounded to milliseconds."""
    start, end = round(word.start + offset, 3), round(word.end + offset, 3)
    return Word(word.text, start, end, round(word.probability, 4), word.speaker)


def _later(passage: Passage, offset: float) -> Passage:
    start, end = round(passage.start + offset, 3), round(passage.end + offset, 3)
    return Passage(start, end, passage.text)
