"""Telling languages apart, and translating. spanish.flac is spoken by espeak-ng."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ml.errors import Cancelled, LanguageUnsupported
from ml.options import PipelineOptions, PrivacyOptions, TranscriptionOptions
from ml.speech.activity import speech_probabilities
from ml.speech.engines.whisper import load
from ml.speech.hearing import Listener
from ml.speech.languages import spoken
from ml.speech.transcribe import transcribe
from ml.speech.translation import translated
from ml.text.segment import segment_speech

ELSEWHERE = "large-v3"
"""A model that is not on a machine that runs tests."""


def test_english_is_told_by_the_multilingual_model_and_heard_by_the_other(samples) -> None:
    found = spoken(TranscriptionOptions(), [samples("jfk.flac")])
    assert found.language == "en"
    assert found.probability is not None and found.probability > 0.8
    assert not found.engine.multilingual


def test_another_language_is_refused_and_says_what_to_set(samples) -> None:
    with pytest.raises(LanguageUnsupported, match="Spanish") as caught:
        spoken(TranscriptionOptions(), [samples("spanish.flac")])
    assert "translate" in caught.value.advice


def test_another_language_is_heard_by_the_multilingual_model(samples) -> None:
    found = spoken(TranscriptionOptions(translate=True), [samples("spanish.flac")])
    assert found.language == "es"
    assert found.probability is not None and found.probability > 0.6
    assert found.engine.multilingual


def test_a_language_that_is_given_is_not_looked_for(samples) -> None:
    found = spoken(TranscriptionOptions(language="en"), [samples("spanish.flac")])
    assert (found.language, found.probability) == ("en", None)


@pytest.mark.parametrize("windows", [0, 1])
def test_english_is_assumed_where_nothing_can_tell(samples, windows: int) -> None:
    options = TranscriptionOptions(multilingual_model=ELSEWHERE)
    found = spoken(options, [samples("spanish.flac")] * windows)
    assert (found.language, found.probability) == ("en", None)


def test_a_quotation_at_the_beginning_does_not_make_a_recording_foreign(samples) -> None:
    english = samples("LJ001-0001.wav")
    found = spoken(TranscriptionOptions(), [samples("spanish.flac"), english, english])
    assert found.language == "en"


def test_a_translation_that_nobody_waits_for_stops(samples) -> None:
    audio = np.tile(samples("spanish.flac"), 12)
    speech = speech_probabilities(audio)
    listener = Listener(load("base", 0), "es", 5, 1)
    calls: list[float] = []

    def advance(fraction: float) -> None:
        calls.append(fraction)
        raise Cancelled

    with pytest.raises(Cancelled):
        translated(listener, audio, speech, [], advance)
    assert len(calls) == 1


@pytest.fixture
def spanish(recorded, jfk: Path):
    context, recording = recorded(jfk.with_name("spanish.flac"))
    context.options = PipelineOptions(transcription=TranscriptionOptions(translate=True))
    return context, recording


def test_foreign_speech_is_translated_beside_what_was_said(spanish) -> None:
    context, recording = spanish
    transcript = transcribe(context, recording, 0)
    assert transcript.language == "es"
    said = segment_speech(context, recording, [transcript])
    assert said.language == "es"
    assert any("Spanish" in note for note in said.notes)
    text = " ".join(sentence.text for sentence in said.sentences).lower()
    assert "happy" in text
    original = " ".join(sentence.original_text or "" for sentence in said.sentences).lower()
    assert "contento" in original
    words = [word for sentence in said.sentences for word in sentence.words]
    assert words == list(transcript.words)
    for sentence in said.sentences:
        assert 0 <= sentence.start < sentence.end <= recording.duration


def test_of_foreign_speech_nothing_raw_is_kept_where_it_shall_be_redacted(spanish) -> None:
    context, recording = spanish
    context.options = replace(context.options, privacy=PrivacyOptions(redact_pii=True))
    transcript = transcribe(context, recording, 0)
    assert transcript.words == ()
    said = segment_speech(context, recording, [transcript])
    assert said.sentences
    assert all(sentence.original_text is None for sentence in said.sentences)
