from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ml.artifacts import ArtifactStore
from ml.errors import LanguageUnsupported, TextEmpty, TextTooLong
from ml.options import ClassificationOptions, PipelineOptions
from ml.results import Word
from ml.stage import Context, Input, Recording, Sentences, Span, Transcript
from ml.text.features import FEATURE_NAMES, FEATURES_VERSION
from ml.text.segment import (
    NO_SPEECH_NOTE,
    UNSURE_LANGUAGE_NOTE,
    segment_speech,
    segment_text,
)


def context(tmp_path: Path, text: str = "") -> Context:
    store = ArtifactStore(f"file://{tmp_path}")
    return Context(Input("text", text), PipelineOptions(), store, tmp_path)


def heard(*words: tuple[str, float, float]) -> Transcript:
    return Transcript("en", 1.0, tuple(Word(*word, 0.9) for word in words), "tiny.en 1")


def spoken(tmp_path: Path, *transcripts: Transcript, duration: float = 10.0) -> Sentences:
    recording = Recording("audio/x.wav", duration, (Span(0.0, duration),))
    return segment_speech(context(tmp_path), recording, transcripts)


def test_speech(tmp_path: Path) -> None:
    said = spoken(
        tmp_path,
        heard(("I", 0.5, 0.6), ("won!", 0.6, 1.0), ("Did", 1.1, 1.3)),
        heard(("you?", 1.4, 1.9)),
    )
    assert [(s.index, s.text, s.start, s.end) for s in said.sentences] == [
        (0, "I won!", 0.5, 1.0),
        (1, "Did you?", 1.1, 1.9),
    ]
    assert [len(row) for row in said.features] == [len(FEATURE_NAMES)] * 2
    assert said.features_version == FEATURES_VERSION
    assert said.models == {"transcription": "tiny.en 1"}
    assert (said.duration, said.notes) == (10.0, ())


def test_times_never_go_back_nor_past_the_end(tmp_path: Path) -> None:
    said = spoken(
        tmp_path,
        heard(("Two.", 2.0, 4.0), ("One.", 1.0, 2.5), ("So.", 3.0, 3.5), ("End.", 9.0, 12.0)),
    )
    assert [s.text for s in said.sentences] == ["One.", "Two.", "So.", "End."]
    now = 0.0
    for sentence in said.sentences:
        assert sentence.start is not None
        assert sentence.end is not None
        assert now <= sentence.start <= sentence.end <= 10.0
        now = sentence.end


def test_no_speech_is_a_result_with_a_note(tmp_path: Path) -> None:
    said = spoken(tmp_path, heard())
    assert (said.sentences, said.features, said.notes) == ((), (), (NO_SPEECH_NOTE,))


def test_features_that_are_switched_off_are_not_computed(tmp_path: Path) -> None:
    without = context(tmp_path, "I am so happy that you came.")
    without.options = replace(without.options, classification=ClassificationOptions(features=False))
    said = segment_text(without)
    assert len(said.sentences) == 1
    assert said.features == ()


def test_text(tmp_path: Path) -> None:
    said = segment_text(context(tmp_path, "I am so happy that you came. Why not?"))
    assert [(s.text, s.start, s.speaker) for s in said.sentences] == [
        ("I am so happy that you came.", None, None),
        ("Why not?", None, None),
    ]
    assert (said.duration, said.notes, said.language) == (None, (), "en")


def test_a_short_text_carries_a_note(tmp_path: Path) -> None:
    assert segment_text(context(tmp_path, "😀")).notes == (UNSURE_LANGUAGE_NOTE,)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", TextEmpty),
        (" \n\x00\u200b", TextEmpty),
        ("?!", TextEmpty),
        ("a" * 500_001, TextTooLong),
        ("Das ist heute ein wirklich schöner Tag.", LanguageUnsupported),
    ],
)
def test_texts_that_are_refused(tmp_path: Path, text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        segment_text(context(tmp_path, text))
