"""What is missing is said before any work is done."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from ml import requirements
from ml.errors import ExtraMissing, SettingInvalid, SpeechAuth
from ml.options import (
    DiarizationOptions,
    PipelineOptions,
    PrivacyOptions,
    SourceOptions,
    TranscriptionOptions,
)

NEEDY = {
    "assemblyai": PipelineOptions(
        transcription=TranscriptionOptions(method="assemblyai", api_key="key")
    ),
    "openai-whisper": PipelineOptions(transcription=TranscriptionOptions(method="openai-whisper")),
    "pyannote": PipelineOptions(diarization=DiarizationOptions(speakers=2, method="pyannote")),
    "pii": PipelineOptions(privacy=PrivacyOptions(redact_pii=("url",))),
}


def test_the_defaults_need_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "find_spec", lambda name: None)
    requirements.require(PipelineOptions(), "file")


@pytest.mark.parametrize("extra", NEEDY)
def test_what_is_not_installed_names_its_extra(monkeypatch: pytest.MonkeyPatch, extra: str) -> None:
    monkeypatch.setattr(requirements, "find_spec", lambda name: None)
    with pytest.raises(ExtraMissing) as caught:
        requirements.require(NEEDY[extra], "file")
    assert f"'emotion-clf[{extra}]'" in caught.value.advice


def test_a_package_that_is_not_there_is_not_imported_to_look_into_it() -> None:
    assert find_spec("pyannote.audio") is None
    with pytest.raises(ExtraMissing):
        requirements.require(NEEDY["pyannote"], "file")


def test_a_service_without_a_key_is_not_asked() -> None:
    options = PipelineOptions(transcription=TranscriptionOptions(method="assemblyai"))
    with pytest.raises(SpeechAuth, match="ASSEMBLYAI_API_KEY"):
        requirements.require(options, "url")


def test_a_text_needs_no_recogniser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "find_spec", lambda name: None)
    for extra in ("assemblyai", "openai-whisper", "pyannote"):
        requirements.require(NEEDY[extra], "text")
    with pytest.raises(ExtraMissing):
        requirements.require(NEEDY["pii"], "text")


@pytest.mark.parametrize(
    "source",
    [SourceOptions(cookie_file="/nowhere/cookies.txt"), SourceOptions(extractors=("yuotube",))],
)
def test_what_every_link_would_fail_with_is_said_before(source: SourceOptions) -> None:
    with pytest.raises(SettingInvalid, match=r"source\.(cookie_file|extractors)"):
        requirements.require(PipelineOptions(source=source), "url")
    requirements.require(PipelineOptions(source=source), "file")
