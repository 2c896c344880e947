from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ml.artifacts import ArtifactStore
from ml.errors import LanguageUnsupported, TextEmpty, TextTooLong
from ml.options import ClassificationOptions, PipelineOptions, PrivacyOptions
from ml.results import Word
from ml.stage import Context, Input, Passage, Recording, Sentences, Span, Transcript
from ml.text.features import FEATURE_NAMES, FEATURES_VERSION
from ml.text.segment import (
    ASSUMED_LANGUAGE_NOTE,
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


def spanish(*words: tuple[str, float, float], passages: tuple[Passage, ...]) -> Transcript:
    return replace(heard(*words), language="es", passages=passages)


def test_a_translation_stands_beside_what_was_said(tmp_path: Path) -> None:
    part = spanish(
        ("hola", 0.5, 0.9),
        ("amigo", 1.0, 1.4),
        ("adiós", 3.2, 3.6),
        passages=(Passage(0.0, 2.0, "Hello friend."), Passage(3.0, 4.0, "Goodbye.")),
    )
    said = spoken(tmp_path, part)
    assert [(s.text, s.original_text) for s in said.sentences] == [
        ("Hello friend.", "hola amigo"),
        ("Goodbye.", "adiós"),
    ]
    assert [len(s.words) for s in said.sentences] == [2, 1]
    assert (said.language, said.language_probability) == ("es", 1.0)
    assert said.notes == ("Translated from Spanish before it was classified.",)


def test_parts_in_different_languages_all_stay(tmp_path: Path) -> None:
    said = spoken(
        tmp_path,
        heard(("I", 0.1, 0.2), ("am", 0.3, 0.4), ("happy.", 0.5, 0.9)),
        spanish(("hola", 4.0, 4.5), passages=(Passage(4.0, 5.0, "Hello."),)),
        heard(("So", 7.0, 7.2), ("am", 7.2, 7.4), ("I.", 7.4, 7.6)),
    )
    assert [(s.index, s.text) for s in said.sentences] == [
        (0, "I am happy."),
        (1, "Hello."),
        (2, "So am I."),
    ]
    assert said.language == "en"


def test_a_passage_of_several_sentences_becomes_several(tmp_path: Path) -> None:
    passages = (Passage(0.0, 4.0, "I won! Did you?"), Passage(3.0, 5.0, "No."))
    said = spoken(tmp_path, spanish(("gané", 0.2, 0.8), passages=passages))
    assert [s.text for s in said.sentences] == ["I won!", "Did you?", "No."]
    now = 0.0
    for sentence in said.sentences:
        assert now <= sentence.start <= sentence.end
        now = sentence.end


def test_a_language_that_had_to_be_assumed_is_said_to_be(tmp_path: Path) -> None:
    assumed = replace(heard(("Hi.", 0.0, 0.5)), language_probability=None)
    assert spoken(tmp_path, assumed).notes == (ASSUMED_LANGUAGE_NOTE,)


def test_a_change_of_speaker_ends_a_sentence(tmp_path: Path) -> None:
    words = [("Are", "A"), ("you", "A"), ("well", "B"), ("enough", "B")]
    said = spoken(
        tmp_path,
        replace(
            heard(),
            words=tuple(
                Word(text, n * 0.3, n * 0.3 + 0.2, 0.9, who) for n, (text, who) in enumerate(words)
            ),
        ),
    )
    assert [(s.text, s.speaker) for s in said.sentences] == [("Are you", "A"), ("well enough", "B")]


def test_a_foreign_text_is_refused_before_it_is_redacted(tmp_path: Path) -> None:
    text = "Meine Telefonnummer ist 0170 1234567, mein Name ist Jürgen Müller und ich bin froh."
    foreign = context(tmp_path, text)
    foreign.options = replace(foreign.options, privacy=PrivacyOptions(redact_pii=True))
    with pytest.raises(LanguageUnsupported):
        segment_text(foreign)


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
