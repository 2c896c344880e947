"""The segment stage: sentences, from timed words or from plain text, with their features."""

from __future__ import annotations

from collections.abc import Sequence

from ml.errors import TextEmpty, TextTooLong
from ml.results import Sentence, Word
from ml.stage import Context, Recording, Sentences, Transcript
from ml.text.features import FEATURES_VERSION, features
from ml.text.language import require_english
from ml.text.sentences import clean, has_content, sentences_of_text
from ml.text.utterances import utterances

NO_SPEECH_NOTE = "No speech was found in the recording."
UNSURE_LANGUAGE_NOTE = "The language could not be told; it was read as English."


def segment_speech(
    context: Context, recording: Recording, transcripts: Sequence[Transcript]
) -> Sentences:
    """Return the sentences that were spoken, with monotonic times within the recording."""
    words = [word for transcript in transcripts for word in transcript.words]
    found = [
        Sentence(
            index=index,
            text=" ".join(word.text for word in said),
            start=said[0].start,
            end=said[-1].end,
        )
        for index, said in enumerate(utterances(_in_order(words, recording.duration)))
    ]
    return _with_features(
        context,
        found,
        duration=recording.duration,
        models={"transcription": transcripts[0].model} if transcripts else {},
        notes=() if found else (NO_SPEECH_NOTE,),
    )


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
    language = require_english(text)
    context.check()
    found = [Sentence(index, said) for index, said in enumerate(sentences_of_text(text))]
    return _with_features(
        context,
        found,
        duration=None,
        models={},
        notes=() if language.sure else (UNSURE_LANGUAGE_NOTE,),
    )


def _with_features(
    context: Context,
    found: list[Sentence],
    *,
    duration: float | None,
    models: dict[str, str],
    notes: tuple[str, ...],
) -> Sentences:
    wanted = bool(found) and context.options.classification.features
    rows = features([sentence.text for sentence in found]).tolist() if wanted else []
    return Sentences(
        language="en",
        sentences=tuple(found),
        features=tuple(tuple(row) for row in rows),
        features_version=FEATURES_VERSION,
        duration=duration,
        models=models,
        notes=notes,
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
        ordered.append(Word(word.text, start, end, word.probability))
        now = end
    return ordered
