"""The vendor's SDK against a server that answers as the vendor's does."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from time import time
from typing import IO, Any

import pytest
from assemblyai_server import (
    DELETE,
    JFK,
    KEY,
    LOOK,
    ORDER,
    SPEECH,
    UPLOAD,
    AssemblyAIServer,
    Fault,
    Spoken,
    assemblyai_server,  # noqa: F401
)

from ml.errors import (
    Cancelled,
    EmotionClfError,
    ExtraMissing,
    OptionInvalid,
    SpeechAuth,
    SpeechFailed,
    SpeechRateLimited,
    SpeechTimeout,
    SpeechUnavailable,
)
from ml.options import (
    PII_POLICIES,
    DiarizationOptions,
    PipelineOptions,
    PrivacyOptions,
    TranscriptionOptions,
)
from ml.speech.engines.assemblyai import transcribe
from ml.speech.engines.assemblyai_api import Pace
from ml.speech.engines.heard import Heard
from ml.stage import Context, Recording, Span

Recorded = Callable[[Path], tuple[Context, Recording]]

QUICK = Pace(poll=0.01, silence=20, attempts=4, first_wait=0.01)
BUSY = Fault(429, b'{"error": "Too many requests"}')
BROKEN = Fault(500)
DROPPED = Fault(drop=True)


def go_on() -> None:
    pass


class Engine:
    """Transcribes one recording by way of the server, with the options of a test."""

    def __init__(self, server: AssemblyAIServer, audio: IO[bytes]) -> None:
        self.audio = audio
        self.transcription = TranscriptionOptions(
            method="assemblyai", api_key=KEY, api_url=server.url, timeout=60
        )
        self.seen: list[tuple[float, str]] = []

    def __call__(
        self,
        *,
        check: Callable[[], None] = go_on,
        diarization: DiarizationOptions | None = None,
        redact: bool | tuple[Any, ...] = False,
        **transcription: Any,
    ) -> Heard:
        options = PipelineOptions(
            transcription=replace(self.transcription, **transcription),
            diarization=diarization or DiarizationOptions(),
            privacy=PrivacyOptions(redact_pii=redact),
        )
        return transcribe(
            self.audio,
            options,
            check=check,
            progress=lambda fraction, detail: self.seen.append((fraction, detail)),
            pace=QUICK,
        )


@pytest.fixture
def server(assemblyai_server: AssemblyAIServer) -> AssemblyAIServer:  # noqa: F811
    return assemblyai_server


@pytest.fixture
def wav(recorded: Recorded, jfk: Path) -> Iterator[IO[bytes]]:
    context, recording = recorded(jfk)
    with context.store.open(recording.audio) as file:
        yield file


@pytest.fixture
def engine(server: AssemblyAIServer, wav: IO[bytes]) -> Engine:
    return Engine(server, wav)


def text(heard: Heard) -> str:
    return " ".join(word.text for word in heard.words)


def order(server: AssemblyAIServer) -> dict[str, Any]:
    """Return the only order, without the address of the audio."""
    ((_, only),) = server.orders.items()
    return {name: value for name, value in only.items() if name != "audio_url"}


def test_the_words_come_back_with_their_times(engine: Engine) -> None:
    heard = engine()
    assert text(heard) == SPEECH
    first, last = heard.words[0], heard.words[-1]
    assert (first.text, first.start, first.end) == ("And", 0.3, 0.7)
    assert (first.probability, first.speaker) == (0.98, None)
    assert last.end == JFK[-1].end / 1000
    assert heard.model == "assemblyai universal-2"


def test_the_audio_arrives_unchanged_though_it_is_read_in_chunks(
    engine: Engine, server: AssemblyAIServer, wav: IO[bytes], tmp_path: Path
) -> None:
    samples = wav.read()
    path = tmp_path / "speech.wav"
    path.write_bytes(samples)
    reads: list[int] = []

    class Watched(io.FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            reads.append(-1 if size is None else size)
            return super().read(size)

    with Watched(path) as engine.audio:
        engine()
    assert server.uploads == [samples]
    assert samples.startswith(b"RIFF")
    assert 0 < max(reads) < len(samples)
    assert min(reads) > 0


def test_a_file_that_was_read_before_is_sent_from_its_beginning(
    engine: Engine, server: AssemblyAIServer, wav: IO[bytes]
) -> None:
    samples = wav.read()
    engine()
    assert server.uploads == [samples]


def test_every_request_carries_the_key(engine: Engine, server: AssemblyAIServer) -> None:
    engine(api_key=f" {KEY}\n")
    assert {sent.headers["authorization"] for sent in server.sent} == {KEY}
    assert [sent.route for sent in server.sent] == [UPLOAD, ORDER, LOOK, LOOK, LOOK]


def test_progress_tells_the_status(engine: Engine) -> None:
    engine()
    assert [detail for _, detail in engine.seen] == ["uploading", "queued", "processing"]
    fractions = [fraction for fraction, _ in engine.seen]
    assert fractions == sorted(fractions)


def test_the_language_is_found_out(engine: Engine, server: AssemblyAIServer) -> None:
    server.language = "en_us"
    heard = engine()
    assert order(server) == {"language_detection": True}
    assert (heard.language, heard.language_probability) == ("en", 0.9942)


def test_the_language_is_given(engine: Engine, server: AssemblyAIServer) -> None:
    heard = engine(language="en")
    assert order(server) == {"language_code": "en"}
    assert (heard.language, heard.language_probability) == ("en", None)


def test_another_language_is_refused_before_anything_is_sent(
    engine: Engine, server: AssemblyAIServer
) -> None:
    with pytest.raises(OptionInvalid, match=r"transcription\.language"):
        engine(language="de")
    assert server.sent == []


CONVERSATION = (
    Spoken("Well,", 0, 400, None),
    Spoken("hello.", 400, 900, "A"),
    Spoken("Hi.", 1_000, 1_200, "B"),
    Spoken("Um.", 1_300, 1_500, None),
    Spoken("Right.", 1_600, 1_900, "A"),
)


def test_every_word_has_a_speaker_where_they_are_told_apart(
    engine: Engine, server: AssemblyAIServer
) -> None:
    server.spoken = CONVERSATION
    heard = engine(diarization=DiarizationOptions(enabled=True))
    assert [word.speaker for word in heard.words] == ["A", "A", "B", "B", "A"]


def test_no_word_has_a_speaker_where_nobody_asked(engine: Engine, server: AssemblyAIServer) -> None:
    server.spoken = CONVERSATION
    assert {word.speaker for word in engine().words} == {None}


def test_the_number_of_speakers_is_passed_on(engine: Engine, server: AssemblyAIServer) -> None:
    engine(diarization=DiarizationOptions(enabled=True, speakers=2), language="en")
    assert order(server) == {
        "language_code": "en",
        "speaker_labels": True,
        "speakers_expected": 2,
    }


def test_the_bounds_of_speakers_are_passed_on(engine: Engine, server: AssemblyAIServer) -> None:
    bounds = DiarizationOptions(enabled=True, min_speakers=2, max_speakers=4)
    engine(diarization=bounds, language="en")
    assert order(server)["speaker_options"] == {
        "min_speakers_expected": 2,
        "max_speakers_expected": 4,
    }


def said(*words: tuple[str, str | None]) -> tuple[Spoken, ...]:
    return tuple(
        Spoken(text, i * 500, i * 500 + 400, policy=policy)
        for i, (text, policy) in enumerate(words)
    )


SECRETS = said(
    ("I'm", None),
    ("Jack", "person_name"),
    ("Thompson,", "person_name"),
    ("call", None),
    ("555-512-3456", "phone_number"),
    ("or", None),
    ("Mary", "person_name"),
    ("in", None),
    ("Springfield,", "location_city"),
    ("account", None),
    ("4711.", "banking_information"),
)


def test_redaction_is_ordered_from_the_service(engine: Engine, server: AssemblyAIServer) -> None:
    engine(redact=True, language="en")
    asked = order(server)
    assert set(PII_POLICIES) <= set(asked.pop("redact_pii_policies"))
    assert asked == {
        "language_code": "en",
        "redact_pii": True,
        "redact_pii_sub": "entity_name",
        "redact_pii_return_unredacted": False,
    }


def test_only_the_policies_asked_for_are_ordered(engine: Engine, server: AssemblyAIServer) -> None:
    engine(redact=("person_name", "account_number"))
    assert order(server)["redact_pii_policies"] == [
        "person_name",
        "account_number",
        "banking_information",
    ]


def test_an_entity_becomes_one_word_named_by_our_policy(
    engine: Engine, server: AssemblyAIServer
) -> None:
    server.spoken = SECRETS
    heard = engine(redact=("person_name", "phone_number", "account_number"))
    assert text(heard) == (
        "I'm [PERSON_NAME], call [PHONE_NUMBER] or [PERSON_NAME] in Springfield, "
        "account [ACCOUNT_NUMBER]."
    )
    name = heard.words[1]
    assert (name.start, name.end) == (0.5, 1.4)
    hidden = [word for word in heard.words if "[" in word.text]
    assert heard.redacted == tuple(Span(word.start, word.end) for word in hidden)


def test_the_parts_of_a_place_are_called_a_place(engine: Engine, server: AssemblyAIServer) -> None:
    server.spoken = said(
        ("[LOCATION_ADDRESS]", None),
        ("[LOCATION_ADDRESS]-[LOCATION_CITY].", None),
        ("Dial", None),
        ("[PHONE_NUMBER]-[PHONE_NUMBER]-[PHONE_NUMBER],", None),
    )
    assert text(engine(redact=True)) == "[LOCATION]. Dial [PHONE_NUMBER],"


def test_what_two_people_say_stays_apart(engine: Engine, server: AssemblyAIServer) -> None:
    server.spoken = (
        Spoken("Jack", 0, 400, "A", "person_name"),
        Spoken("Mary", 500, 900, "B", "person_name"),
    )
    heard = engine(redact=True, diarization=DiarizationOptions(enabled=True))
    assert [(word.text, word.speaker) for word in heard.words] == [
        ("[PERSON_NAME]", "A"),
        ("[PERSON_NAME]", "B"),
    ]


def test_words_that_the_service_left_unredacted_are_refused(
    engine: Engine, server: AssemblyAIServer
) -> None:
    server.spoken, server.leaks = SECRETS, True
    with pytest.raises(SpeechFailed) as caught:
        engine(redact=True)
    assert "Jack" not in str(caught.value)


def test_times_never_run_backwards(engine: Engine, server: AssemblyAIServer) -> None:
    server.spoken = (
        Spoken("One", 100, 900),
        Spoken("  ", 900, 950),
        Spoken("two", 500, 1_200),
        Spoken("three.", 1_300, 1_100),
    )
    heard = engine()
    assert text(heard) == "One two three."
    times = [time for word in heard.words for time in (word.start, word.end)]
    assert times == sorted(times) == [0.1, 0.9, 0.9, 1.2, 1.3, 1.3]


@pytest.mark.parametrize("language", ["auto", "en"])
def test_where_nobody_speaks_there_are_no_words(
    engine: Engine, server: AssemblyAIServer, language: str
) -> None:
    server.spoken = ()
    heard = engine(language=language)
    assert heard.words == ()
    assert heard.language == "en"


def test_a_transcript_that_fails(engine: Engine, server: AssemblyAIServer) -> None:
    server.error = "Transcoding failed. File does not appear to contain audio."
    with pytest.raises(SpeechFailed) as caught:
        engine()
    assert "Transcoding" not in str(caught.value)


def test_an_order_that_is_refused(engine: Engine, server: AssemblyAIServer) -> None:
    server.fail(ORDER, Fault(400, b'{"error": "Your current account balance is negative."}'))
    with pytest.raises(SpeechFailed, match="account") as caught:
        engine()
    assert "negative" not in str(caught.value)
    assert server.count(ORDER) == 1


@pytest.mark.parametrize("key", [None, "", " \n", "kéy", "a\nb"])
def test_without_a_key_that_can_be_sent_nothing_is(
    engine: Engine, server: AssemblyAIServer, key: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSEMBLYAI_API_KEY", KEY)
    with pytest.raises(SpeechAuth, match="ASSEMBLYAI_API_KEY"):
        engine(api_key=key)
    assert server.sent == []


def test_a_wrong_key_is_refused_at_once(engine: Engine, server: AssemblyAIServer) -> None:
    with pytest.raises(SpeechAuth, match="ASSEMBLYAI_API_KEY"):
        engine(api_key="wrong")
    assert server.count(UPLOAD) == 1


def test_a_key_may_be_forbidden(engine: Engine, server: AssemblyAIServer) -> None:
    server.fail(ORDER, Fault(403, b"{}"))
    with pytest.raises(SpeechAuth):
        engine()


@pytest.mark.parametrize("route", [UPLOAD, ORDER, LOOK])
@pytest.mark.parametrize(
    "fault", [BUSY, BROKEN, DROPPED, Fault(200, b"<html>"), Fault(502, b"bad gateway")]
)
def test_what_passes_is_tried_again(
    engine: Engine, server: AssemblyAIServer, wav: IO[bytes], route: str, fault: Fault
) -> None:
    samples = wav.read()
    server.fail(route, fault, fault)
    assert text(engine()) == SPEECH
    assert server.uploads == [samples]
    assert [sent.body for sent in server.sent if sent.route == UPLOAD][-1] == samples


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (BUSY, SpeechRateLimited),
        (BROKEN, SpeechUnavailable),
        (DROPPED, SpeechUnavailable),
        (Fault(200, b"<html>"), SpeechUnavailable),
    ],
)
def test_what_does_not_pass_ends_after_the_last_attempt(
    engine: Engine, server: AssemblyAIServer, fault: Fault, error: type[EmotionClfError]
) -> None:
    server.fail(UPLOAD, *[fault] * 10)
    with pytest.raises(error) as caught:
        engine()
    assert type(caught.value) is error
    assert caught.value.transient
    assert server.count(UPLOAD) == QUICK.attempts


def test_nobody_answers_at_that_address(engine: Engine, server: AssemblyAIServer) -> None:
    server.stop()
    with pytest.raises(SpeechUnavailable):
        engine()


@pytest.mark.parametrize("address", ["ftp://127.0.0.1", "nowhere"])
def test_an_address_that_is_none(engine: Engine, address: str) -> None:
    with pytest.raises(OptionInvalid, match="api_url"):
        engine(api_url=address)


def test_the_service_says_how_long_to_wait(engine: Engine, server: AssemblyAIServer) -> None:
    server.fail(ORDER, replace(BUSY, headers={"Retry-After": "1"}))
    engine()
    first, second = (sent.time for sent in server.sent if sent.route == ORDER)
    assert second - first >= 1.0


@pytest.mark.parametrize("fault", [BUSY, Fault(503)])
@pytest.mark.parametrize("date", [False, True])
def test_a_wait_that_would_take_too_long_is_not_begun(
    engine: Engine, server: AssemblyAIServer, fault: Fault, date: bool
) -> None:
    asked = formatdate(time() + 3600, usegmt=True) if date else "3600"
    server.fail(ORDER, replace(fault, headers={"Retry-After": asked}))
    with pytest.raises(SpeechRateLimited if fault is BUSY else SpeechUnavailable):
        engine()
    assert server.count(ORDER) == 1


def test_a_wait_that_cannot_be_read_is_our_own(engine: Engine, server: AssemblyAIServer) -> None:
    server.fail(ORDER, replace(BUSY, headers={"Retry-After": "soon"}))
    engine()
    assert server.count(ORDER) == 2


def test_when_time_is_up_the_transcript_is_deleted(
    engine: Engine, server: AssemblyAIServer
) -> None:
    server.statuses = ["processing"]
    with pytest.raises(SpeechTimeout):
        engine(timeout=0.5)
    assert server.deleted == list(server.orders) == ["transcript-1"]


@pytest.mark.parametrize("route", [UPLOAD, ORDER, LOOK])
def test_a_cancel_does_not_wait_for_an_answer(
    engine: Engine, server: AssemblyAIServer, route: str
) -> None:
    server.hold(route)

    def check() -> None:
        if server.count(route):
            raise Cancelled()

    with pytest.raises(Cancelled):
        engine(check=check)
    # The order that nobody waits for any more is deleted as soon as its id is known.
    ordered = route != UPLOAD
    server.release()
    assert server.eventually(lambda: len(server.deleted) == ordered)
    assert list(server.orders) == server.deleted


def test_a_cancel_between_two_looks(engine: Engine, server: AssemblyAIServer) -> None:
    server.statuses = ["queued"]

    def check() -> None:
        if server.count(LOOK) > 2:
            raise Cancelled()

    with pytest.raises(Cancelled):
        engine(check=check)
    assert server.deleted == ["transcript-1"]


def test_a_deletion_that_fails_hides_nothing(engine: Engine, server: AssemblyAIServer) -> None:
    server.statuses = ["processing"]
    server.fail(DELETE, BROKEN)
    with pytest.raises(SpeechTimeout):
        engine(timeout=0.5)
    assert (server.count(DELETE), server.deleted) == (1, [])


def test_what_is_done_stays_with_the_service(engine: Engine, server: AssemblyAIServer) -> None:
    engine()
    assert server.count(DELETE) == 0


def test_the_settings_of_the_process_do_not_matter(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    import assemblyai

    before = assemblyai.settings.model_copy()
    monkeypatch.setenv("ASSEMBLYAI_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("ASSEMBLYAI_POLLING_INTERVAL", "seldom")
    monkeypatch.setattr(assemblyai.settings, "api_key", "another")
    engine()
    assert assemblyai.settings.base_url == before.base_url
    assert assemblyai.settings.api_key == "another"


def test_neither_key_nor_text_is_logged(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        engine()
    assert "/v2/upload" in caplog.text
    assert KEY not in caplog.text
    assert "Americans" not in caplog.text


def test_translation_is_refused_before_anything_is_sent(
    engine: Engine, server: AssemblyAIServer
) -> None:
    with pytest.raises(OptionInvalid, match="does not translate"):
        engine(translate=True)
    assert server.sent == []


def test_a_missing_sdk_is_said_to_be(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "assemblyai", None)
    with pytest.raises(ExtraMissing, match=r"pip install 'emotion-clf\[assemblyai\]'"):
        engine()
