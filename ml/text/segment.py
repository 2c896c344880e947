"""The segment stage: sentences, from timed words or from plain text, with their features."""

from __future__ import annotations

from bisect import bisect
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from ml.artifacts import digest
from ml.errors import TextEmpty, TextTooLong
from ml.options import PipelineOptions
from ml.results import Sentence, Word
from ml.source.wav import read_span, silence
from ml.speech.speakers.turns import Turn, attribute, speaker_of, turns
from ml.stage import Context, Passage, Recording, Sentences, Span, Transcript
from ml.text.features import FEATURES_VERSION, features
from ml.text.language import name_of, require_english
from ml.text.sentences import clean, has_content, sentences_of_text
from ml.text.utterances import utterances

NO_SPEECH_NOTE = "No speech was found in the recording."
UNSURE_LANGUAGE_NOTE = "The language could not be told; it was read as English."
ASSUMED_LANGUAGE_NOTE = (
    "The recording was taken for English: no installed speech model tells languages apart."
)
ENGLISH = "en"
_MARGIN_SECONDS = 0.2


def segment_speech(
    context: Context, recording: Recording, transcripts: Sequence[Transcript]
) -> Sentences:
    """Return the sentences that were spoken, with monotonic times within the recording.

    Raises :class:`ml.errors.Cancelled` when the caller asked to stop.
    """
    options = context.options
    speaking = turns(
        [voice for transcript in transcripts for voice in transcript.voices], options.diarization
    )
    found = _spoken_sentences(transcripts, speaking, recording.duration)
    if options.prosody.enabled:
        found = _with_prosody(context, recording, found)
    silenced = None
    if options.privacy.redact_audio:
        redacted = [span for transcript in transcripts for span in transcript.redacted]
        silenced = _silenced(context, recording, redacted)
    language, probability = _language(transcripts)
    return _with_features(
        context,
        found,
        language=language,
        language_probability=probability,
        duration=recording.duration,
        models={"transcription": transcripts[0].model} if transcripts else {},
        notes=_notes(found, language, probability, options),
        redacted_audio=silenced,
    )


def _spoken_sentences(
    transcripts: Sequence[Transcript], speaking: Sequence[Turn], duration: float
) -> list[Sentence]:
    words = [word for transcript in transcripts for word in transcript.words]
    ordered = _in_order(words, duration)
    said = attribute(ordered, speaking) if speaking else ordered
    passages = [passage for transcript in transcripts for passage in transcript.passages]
    if passages:
        return _translated(passages, said, speaking)
    return [_sentence(index, run) for index, run in enumerate(utterances(said))]


def _sentence(index: int, words: Sequence[Word]) -> Sentence:
    return Sentence(
        index=index,
        text=" ".join(word.text for word in words),
        start=words[0].start,
        end=words[-1].end,
        speaker=words[0].speaker,
        words=tuple(words),
    )


def _translated(
    passages: Sequence[Passage], words: Sequence[Word], speaking: Sequence[Turn]
) -> list[Sentence]:
    """Return a sentence a passage, with the foreign words that it stands for, if they are kept.

    Each word goes to the passage that is nearest to its middle: the translator's times are
    not those of the words.
    """
    borders = [(a.end + b.start) / 2 for a, b in pairwise(passages)]
    own_words: list[list[Word]] = [[] for _ in passages]
    for word in words:
        own_words[bisect(borders, (word.start + word.end) / 2)].append(word)
    found: list[Sentence] = []
    for index, (passage, own) in enumerate(zip(passages, own_words, strict=True)):
        found.append(
            Sentence(
                index=index,
                text=passage.text,
                start=passage.start,
                end=passage.end,
                speaker=speaker_of(passage.start, passage.end, speaking),
                words=tuple(own),
                original_text=" ".join(word.text for word in own) or None,
            )
        )
    return found


def _with_prosody(
    context: Context, recording: Recording, found: Sequence[Sentence]
) -> list[Sentence]:
    from ml.speech.prosody import prosody

    measured: list[Sentence] = []
    with context.store.open(recording.audio) as wav:
        for sentence in found:
            context.check()
            start = sentence.start or 0.0
            samples = read_span(wav, Span(start, sentence.end or start))
            measured.append(
                replace(sentence, prosody=prosody(samples, sentence.words, start=start))
            )
    return measured


def _silenced(context: Context, recording: Recording, spans: Sequence[Span]) -> str:
    """Store the recording with some stretches silent, and a little around each; return its key.

    A recogniser's times are not exact, and half a digit can give the number away.
    """
    wider = [Span(max(0.0, s.start - _MARGIN_SECONDS), s.end + _MARGIN_SECONDS) for s in spans]
    target = context.workdir / "redacted.wav"
    with context.store.open(recording.audio) as wav:
        silence(wav, target, wider)
    where = digest(recording.audio, [[span.start, span.end] for span in spans])
    key = f"audio/redacted/{where}.wav"
    context.store.write_file(key, target)
    return key


def _language(transcripts: Sequence[Transcript]) -> tuple[str, float | None]:
    """Return the language in which most words were said, and its least probability."""
    if not transcripts:
        return ENGLISH, None
    count: Counter[str] = Counter()
    for transcript in transcripts:
        count[transcript.language] += 1 + len(transcript.words) + len(transcript.passages)
    language = max(count, key=lambda code: count[code])
    sure = [t.language_probability for t in transcripts if t.language == language]
    known = [probability for probability in sure if probability is not None]
    return language, min(known) if len(known) == len(sure) else None


def _notes(
    found: Sequence[Sentence], language: str, probability: float | None, options: PipelineOptions
) -> tuple[str, ...]:
    if not found:
        return (NO_SPEECH_NOTE,)
    if language != ENGLISH:
        return (f"Translated from {name_of(language)} before it was classified.",)
    if probability is None and options.transcription.language == "auto":
        return (ASSUMED_LANGUAGE_NOTE,)
    return ()


def segment_text(context: Context) -> Sentences:
    """Return the sentences of the text that the job starts from.

    Raises:
        TextEmpty: there is no letter, digit or emoji in it.
        TextTooLong: longer than ``source.max_characters``.
        LanguageUnsupported: surely not English.

    """
    text = context.source.value
    if len(text) > context.options.source.max_characters:
        raise TextTooLong()
    text = _redacted(clean(text), context.options)
    if not has_content(text):
        raise TextEmpty()
    language = require_english(text)
    context.check()
    found = [Sentence(index, said) for index, said in enumerate(sentences_of_text(text))]
    return _with_features(
        context,
        found,
        language=language.code,
        duration=None,
        models={},
        notes=() if language.sure else (UNSURE_LANGUAGE_NOTE,),
    )


def _redacted(text: str, options: PipelineOptions) -> str:
    if not options.privacy.policies:
        return text
    from ml.text.pii.redaction import redact_text

    return redact_text(text, options.privacy.policies)


def _with_features(
    context: Context,
    found: list[Sentence],
    *,
    language: str,
    duration: float | None,
    models: dict[str, str],
    notes: tuple[str, ...],
    language_probability: float | None = None,
    redacted_audio: str | None = None,
) -> Sentences:
    wanted = bool(found) and context.options.classification.features
    rows = features([sentence.text for sentence in found]).tolist() if wanted else []
    return Sentences(
        language=language,
        sentences=tuple(found),
        features=tuple(tuple(row) for row in rows),
        features_version=FEATURES_VERSION,
        duration=duration,
        models=models,
        notes=notes,
        language_probability=language_probability,
        redacted_audio=redacted_audio,
    )


def _in_order(words: Sequence[Word], duration: float) -> list[Word]:
    """Return the words with times that never go back and stay within the recording.

    Recognisers give overlapping words, and at the borders of windows words out of order.
    """
    ordered: list[Word] = []
    now = 0.0
    for word in sorted(words, key=lambda word: word.start):
        start = min(max(word.start, now), duration)
        end = min(max(word.end, start), duration)
        ordered.append(Word(word.text, start, end, word.probability, word.speaker))
        now = end
    return ordered
