"""The segment stage: sentences, from timed words or from plain text, with their features."""

from __future__ import annotations

from bisect import bisect
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from ml.artifacts import digest
from ml.errors import TextEmpty, TextTooLong
from ml.options import PipelineOptions
from ml.results import Sentence, Word
from ml.source.wav import read_span, silence
from ml.speech.speakers.turns import Turn, attribute, speaker_of, turns
from ml.stage import Context, Passage, Recording, Sentences, Span, Transcript
from ml.text.features import FEATURES_VERSION, features
from ml.text.language import ENGLISH, name_of, require_english
from ml.text.sentences import clean, has_content, sentences_of_text
from ml.text.utterances import joined_text, utterances

NO_SPEECH_NOTE = "No speech was found in the recording."
UNSURE_LANGUAGE_NOTE = "The language could not be told; it was read as English."
ASSUMED_LANGUAGE_NOTE = (
    "The recording was taken for English: no installed speech model tells languages apart."
)
_MARGIN_SECONDS = 0.2


def segment_speech(
    context: Context, recording: Recording, transcripts: Sequence[Transcript]
) -> Sentences:
    """Return the sentences that were spoken, with monotonic times within the recording.

    Raises :class:`ml.errors.Cancelled` when the caller asked to stop.
    """
    options = context.options
    voices = [voice for transcript in transcripts for voice in transcript.voices]
    speaking = turns(voices, options.diarization, context.check)
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
    """Return the sentences in order; each part of a recording may be in another language."""
    found: list[Sentence] = []
    english: list[Word] = []
    for transcript in transcripts:
        words = attribute(_in_order(transcript.words, duration), speaking)
        if transcript.passages:
            found += [
                *map(_sentence, utterances(english)),
                *_translated(transcript, words, speaking),
            ]
            english = []
        else:
            # A sentence may go on in the next part.
            english += words
    found += map(_sentence, utterances(english))
    return [replace(sentence, index=index) for index, sentence in enumerate(found)]


def _sentence(words: Sequence[Word]) -> Sentence:
    return Sentence(
        index=0,
        text=joined_text(words, ENGLISH),
        start=words[0].start,
        end=words[-1].end,
        speaker=words[0].speaker,
        words=tuple(words),
    )


def _translated(
    transcript: Transcript, words: Sequence[Word], speaking: Sequence[Turn]
) -> Iterator[Sentence]:
    """Yield the translated sentences, with the foreign words that each stands for, if kept.

    Each word goes to the sentence that is nearest to its middle: the translator's times are
    not those of the words.
    """
    passages = list(_one_sentence_each(transcript.passages))
    borders = [before.end for before in passages[:-1]]
    own_words: list[list[Word]] = [[] for _ in passages]
    for word in words:
        own_words[bisect(borders, (word.start + word.end) / 2)].append(word)
    for passage, own in zip(passages, own_words, strict=True):
        yield Sentence(
            index=0,
            text=passage.text,
            start=passage.start,
            end=passage.end,
            speaker=speaker_of(passage.start, passage.end, speaking),
            words=tuple(own),
            original_text=joined_text(own, transcript.language) or None,
        )


def _one_sentence_each(passages: Iterable[Passage]) -> Iterator[Passage]:
    """Yield the passages sentence by sentence, in order, none beginning before the last ends.

    Where one holds several sentences, each has the share of its time that it has of its text.
    """
    now = 0.0
    for passage in passages:
        start = max(passage.start, now)
        rate = max(passage.end - start, 0.0) / len(passage.text)
        for text in sentences_of_text(passage.text):
            now = round(start + rate * len(text), 3)
            yield Passage(start, now, text)
            start = now


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
    text = clean(text)
    if not has_content(text):
        raise TextEmpty()
    # Before redaction, which reads English only and would leave the rest as it is.
    language = require_english(text)
    text = _redacted(text, context.options)
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
