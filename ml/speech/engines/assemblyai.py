"""The AssemblyAI engine: a recording goes up to the service, words come down.

The service also detects the language, tells speakers apart and redacts personal data, so that
nothing of that is done here. It is not asked to translate.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Any

from ml.errors import SpeechFailed
from ml.options import PiiPolicy, PipelineOptions
from ml.results import Word
from ml.speech.engines.assemblyai_api import PACE, AssemblyAI, Pace, failure
from ml.speech.engines.heard import Heard
from ml.speech.patience import Patience
from ml.stage import Span

if TYPE_CHECKING:
    from assemblyai.types import TranscriptRequest, TranscriptResponse
    from assemblyai.types import Word as VendorWord

_PROGRESS = {"queued": 0.3, "processing": 0.5}
"""The service says no more about how far it is."""
_NO_SPEECH = "no spoken audio"
"""Said of a recording in which it finds no speech whose language it could detect."""
_POLICIES: dict[PiiPolicy, tuple[str, ...]] = {
    "account_number": ("account_number", "banking_information"),
}
"""The service's policies for ours, where they are not one of the same name."""
_PUNCTUATION = ".,;:!?'\"()-"
_TAG = re.compile(r"\[([A-Z_]+)\]")
"""What the service puts in the place of a word, and we in the place of an entity."""
_SAME_TAGS = re.compile(r"(\[[A-Z_]+\])(?:[^\w\s\[]*\1)+")
"""One entity within a word, such as a number's ``[PHONE_NUMBER]-[PHONE_NUMBER]``."""


def transcribe(
    audio: IO[bytes],
    options: PipelineOptions,
    *,
    check: Callable[[], None],
    progress: Callable[[float, str], None],
    pace: Pace = PACE,
) -> Heard:
    """Let AssemblyAI transcribe a WAV file, from its beginning.

    Args:
        audio: the open file, 16 kHz and mono; it is read in chunks.
        options: language, speakers and redaction are the service's work; its key and address,
            and how many seconds all of it may take, stand in ``options.transcription``.
        check: called at least every second; raises to stop, and the transcript is deleted.
        progress: told the fraction 0..1 and the status that the service reports.
        pace: how often the service is asked.

    Raises:
        SpeechAuth: there is no key, or the service refuses it.
        SpeechRateLimited: the service still wants to be asked less often after every attempt.
        SpeechUnavailable: several attempts met broken connections or errors of the service.
        SpeechFailed: the service cannot transcribe the recording.
        SpeechTimeout: it took longer than ``transcription.timeout``.
        LanguageUnsupported: the service does not know the language.
        ExtraMissing: the SDK is not installed.

    """
    patience = Patience(check, options.transcription.timeout, daemon=True)
    service = AssemblyAI(options.transcription, patience, pace)
    try:
        progress(0.0, "uploading")
        identity = service.create(_request(service.upload(audio), options))
        while (status := (answer := service.fetch(identity)).status.value) in _PROGRESS:
            progress(_PROGRESS[status], status)
            patience.sleep(pace.poll)
    except BaseException:
        service.discard()
        raise
    if options.privacy.policies:
        # Nothing raw is to be kept anywhere, and the service knows the recording.
        service.discard()
    else:
        service.close()
    return _heard(answer, options)


def _request(url: str, options: PipelineOptions) -> TranscriptRequest:
    from assemblyai.types import TranscriptRequest

    language = options.transcription.language
    asked: dict[str, Any] = (
        {"language_detection": True} if language == "auto" else {"language_code": language}
    )
    if (speakers := options.diarization).enabled:
        asked["speaker_labels"] = True
        if speakers.speakers is not None:
            asked["speakers_expected"] = speakers.speakers
        else:
            asked["speaker_options"] = {
                "min_speakers_expected": speakers.min_speakers,
                "max_speakers_expected": speakers.max_speakers,
            }
    if policies := options.privacy.policies:
        asked |= {
            "redact_pii": True,
            "redact_pii_policies": [
                theirs for ours in policies for theirs in _POLICIES.get(ours, (ours,))
            ],
            "redact_pii_sub": "entity_name",
            "redact_pii_return_unredacted": False,
        }
    return TranscriptRequest(audio_url=url, **asked)


def _heard(answer: TranscriptResponse, options: PipelineOptions) -> Heard:
    reason = answer.error or ""
    if answer.status.value == "error" and _NO_SPEECH not in reason:
        raise failure(reason, SpeechFailed())
    words = _words(answer.words or (), with_speakers=options.diarization.wanted)
    redacted: tuple[Span, ...] = ()
    if options.privacy.policies:
        _refuse_leaks(words, answer.text or "")
        words = _entities(words)
        redacted = tuple(Span(word.start, word.end) for word in words if _TAG.search(word.text))
    language = options.transcription.language
    detected = language == "auto"
    return Heard(
        language=str(answer.language_code or "en").partition("_")[0] if detected else language,
        language_probability=answer.language_confidence if detected else None,
        words=tuple(words),
        model=f"assemblyai {answer.speech_model_used or ''}".strip(),
        redacted=redacted,
    )


def _words(spoken: Sequence[VendorWord], *, with_speakers: bool) -> list[Word]:
    """Return the words in seconds; a word without a speaker is said by who spoke last."""
    words: list[Word] = []
    speaker = next((word.speaker for word in spoken if word.speaker), "A")
    for word in spoken:
        if not (text := word.text.strip()):
            continue
        speaker = word.speaker or speaker
        start = max(word.start / 1000, words[-1].end if words else 0.0)
        end = max(word.end / 1000, start)
        probability = round(word.confidence, 4)
        words.append(Word(text, start, end, probability, speaker if with_speakers else None))
    return words


def _refuse_leaks(words: Sequence[Word], text: str) -> None:
    """Raise SpeechFailed where a word is not in the text.

    The service redacts both, but documents it for the text alone.
    """
    if any(_TAG.sub("", word.text).strip(_PUNCTUATION) not in text for word in words):
        raise SpeechFailed("The speech service redacted its words otherwise than its text.")


def _entities(words: Sequence[Word]) -> list[Word]:
    """Return the words with one in the place of each redacted entity, named by our policies.

    The service puts a tag in the place of each word: ``[PERSON_NAME] [PERSON_NAME],`` for a name
    and a surname. What is not another sentence's or speaker's is taken for the same entity.
    """
    merged: list[Word] = []
    for word in words:
        text = _SAME_TAGS.sub(r"\1", _TAG.sub(_our_tag, word.text))
        last = merged[-1] if merged else None
        if last and _continues(last, text, word.speaker):
            probability = min(last.probability, word.probability)
            merged[-1] = replace(word, text=text, start=last.start, probability=probability)
        else:
            merged.append(replace(word, text=text))
    return merged


def _continues(last: Word, text: str, speaker: str | None) -> bool:
    is_tag = _TAG.fullmatch(last.text) is not None
    return is_tag and text.startswith(last.text) and speaker == last.speaker


def _our_tag(theirs: re.Match[str]) -> str:
    policy = theirs[1].lower()
    for ours, names in _POLICIES.items():
        if policy in names:
            return f"[{ours.upper()}]"
    # Parts of an address have names of their own, such as location_city.
    return "[LOCATION]" if policy.startswith("location_") else theirs[0]
