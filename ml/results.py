"""The result types: what every way of running the pipeline returns.

One JSON shape serves the command line, the HTTP API and Python: ``Analysis.to_dict()``.
It is written down in ``docs/api.md``. All times are in seconds, all probabilities in 0..1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the classifier says of one text."""

    text: str
    emotion: str
    """The most probable of the 7 base emotions."""
    sub_emotion: str
    """The most probable sub-emotion among those that belong to ``emotion``."""
    intensity: str
    """mild, moderate or intense."""
    confidence: float
    """The calibrated probability of ``emotion``."""
    low_confidence: bool
    """Whether ``confidence`` lies below the threshold that the caller asked for."""
    emotions: Mapping[str, float]
    """Distribution over the 7 base emotions; sums to 1."""
    sub_emotions: Mapping[str, float]
    """One independent probability for each of the 28 sub-emotions."""
    intensities: Mapping[str, float]
    """Distribution over the 3 intensities; sums to 1."""
    labels: tuple[str, ...]
    """The sub-emotions above their own thresholds, strongest first; may be empty."""

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dictionary."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


@dataclass(frozen=True, slots=True)
class Word:
    """One spoken word with its times and the recogniser's probability."""

    text: str
    start: float
    end: float
    probability: float
    speaker: str | None = None
    """Who says it: "A", "B", … in the order they are first heard; None where nobody asked."""


@dataclass(frozen=True, slots=True)
class Prosody:
    """How a sentence sounds. What cannot be measured, such as the pitch of a whisper, is None."""

    loudness: float | None
    """Mean power while somebody speaks, in dB; a sine at full scale has -3.01."""
    pitch_median: float | None
    """Median fundamental frequency of the voiced frames, in Hz."""
    pitch_range: float | None
    """From the 5th to the 95th percentile of the fundamental frequency, in semitones."""
    speaking_rate: float | None
    """Words per second, from the first speech to the last, pauses included."""
    pause_seconds: float
    """Silences of a quarter of a second or longer inside the sentence, in seconds."""
    pauses: int
    """How many such silences there are."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence before it is classified. Text jobs have no times, words or speaker."""

    index: int
    text: str
    start: float | None = None
    end: float | None = None
    speaker: str | None = None
    words: tuple[Word, ...] = ()
    original_text: str | None = None
    prosody: Prosody | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """One sentence of the result: who said what, when, and with which emotion."""

    index: int
    start: float | None
    end: float | None
    speaker: str | None
    text: str
    emotion: str
    sub_emotion: str
    intensity: str
    confidence: float
    low_confidence: bool
    emotions: Mapping[str, float]
    sub_emotions: Mapping[str, float]
    intensities: Mapping[str, float]
    labels: tuple[str, ...]
    words: tuple[Word, ...] = ()
    """The words as they were spoken; empty for text."""
    original_text: str | None = None
    """What was said in its own language, where ``text`` is a translation."""
    prosody: Prosody | None = None
    """How it sounds, where the caller asked for that."""

    @classmethod
    def of(cls, sentence: Sentence, prediction: Prediction) -> Segment:
        """Join a sentence with what the classifier said of it."""
        said = {name: getattr(prediction, name) for name in Prediction.__dataclass_fields__}
        return cls(
            index=sentence.index,
            start=sentence.start,
            end=sentence.end,
            speaker=sentence.speaker,
            words=sentence.words,
            original_text=sentence.original_text,
            prosody=sentence.prosody,
            **said | {"text": sentence.text},
        )


@dataclass(frozen=True, slots=True)
class TimelineBin:
    """The mean distribution over base emotions in one stretch of the recording.

    The stretches are equally long, ``start`` and ``end`` in seconds; for text jobs they
    count sentences. A stretch in which nothing is said is left out of the timeline.
    """

    start: float
    end: float
    emotion: str
    emotions: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class SpeakerSummary:
    """One speaker's share of the recording."""

    speaker: str
    speech_seconds: float
    segments: int
    dominant_emotion: str
    emotions: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Summary:
    """The recording as a whole.

    ``emotions`` is the expected share of speech time in each base emotion: the mean of the
    sentences' distributions, weighted by their time (for text jobs: by their characters). A
    count of each sentence's most probable emotion would throw the doubt away. It sums to 1,
    or is all zero where nothing was said.
    """

    segments: int
    speech_seconds: float
    dominant_emotion: str | None
    emotions: Mapping[str, float]
    timeline: tuple[TimelineBin, ...]
    speakers: tuple[SpeakerSummary, ...]


@dataclass(frozen=True, slots=True)
class Analysis:
    """The full result of one recording or text."""

    language: str
    duration: float | None
    """Length of the recording in seconds; None for text jobs."""
    models: Mapping[str, str]
    """Name and version of each model that took part, by role."""
    segments: tuple[Segment, ...]
    summary: Summary
    language_probability: float | None = None
    """How sure the language is; None where it was given or assumed, not detected."""
    redacted_audio: str | None = None
    """Key of the recording with what was redacted silenced, where the caller asked for it."""
    notes: tuple[str, ...] = field(default=())
    """What the reader should know, such as "no speech was found"."""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON shape of ``docs/api.md``."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Analysis:
        """Rebuild an analysis from ``to_dict()``'s output; raise msgspec.ValidationError."""
        return msgspec.convert(data, cls)
