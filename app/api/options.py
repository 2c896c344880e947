"""What a client may choose of :mod:`ml.options`; the rest is the operator's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from ml.options import LANGUAGES, MAX_SPEAKERS, PII_POLICIES


class _Number(fields.Float):
    """A JSON number: marshmallow's own field reads strings too."""

    def _validated(self, value: Any) -> float:
        if not isinstance(value, int | float):
            raise self.make_error("invalid")
        return super()._validated(value)


class _WholeNumber(fields.Integer):
    """A JSON number without a fraction; 5.0 is one, to JSON Schema too."""

    def _validated(self, value: Any) -> int:
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        if not whole:
            raise self.make_error("invalid")
        return super()._validated(value)


class Flag(fields.Boolean):
    """A JSON boolean: marshmallow's own field reads words and numbers too."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class _Policies(fields.Field[bool | list[str]]):
    """True, false, or names of what to redact."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> bool | list[str]:
        if isinstance(value, bool):
            return value
        if not isinstance(value, list) or not all(name in PII_POLICIES for name in value):
            allowed = ", ".join(PII_POLICIES)
            raise ma.ValidationError(f"Must be true, false or a list of: {allowed}.")
        return [str(name) for name in value]


def policies_schema(converter: Any, field: fields.Field[Any], **_: Any) -> dict[str, Any]:
    """Return what OpenAPI says of :class:`_Policies`; nothing for other fields."""
    if not isinstance(field, _Policies):
        return {}
    names = {"type": "array", "items": {"type": "string", "enum": list(PII_POLICIES)}}
    return {"anyOf": [{"type": "boolean"}, names]}


def _speakers(description: str) -> fields.Field[Any]:
    return _WholeNumber(
        validate=validate.Range(1, MAX_SPEAKERS),
        metadata={"description": description, "examples": [2]},
    )


@dataclass(frozen=True, slots=True)
class OptionRule:
    """One option that a client may choose, and where the pipeline looks for it."""

    section: str
    field: fields.Field[Any]
    key: str | None = None
    """Its name there, where that is another."""


OPTIONS: dict[str, OptionRule] = {
    "confidence_threshold": OptionRule(
        "classification",
        _Number(
            validate=validate.Range(0, 1),
            metadata={
                "description": "Mark predictions below it `low_confidence`.",
                "examples": [0.65],
            },
        ),
    ),
    "features": OptionRule(
        "classification",
        Flag(
            metadata={"description": "Whether linguistic features are fused in."},
        ),
    ),
    "language": OptionRule(
        "transcription",
        fields.String(
            validate=validate.OneOf(LANGUAGES),
            metadata={
                "description": "What is spoken, as an ISO 639-1 code; `auto` finds out. "
                "Others than `en` need `translate`.",
                "examples": ["auto", "en"],
            },
        ),
    ),
    "translate": OptionRule(
        "transcription",
        Flag(
            metadata={
                "description": "Whether other languages are translated into English before they "
                "are classified; the original stands beside it. Without it they are refused."
            },
        ),
    ),
    "diarize": OptionRule(
        "diarization",
        Flag(metadata={"description": "Whether speakers are told apart."}),
        key="enabled",
    ),
    "speakers": OptionRule(
        "diarization",
        _speakers("How many people speak, if known; it implies `diarize`."),
    ),
    "min_speakers": OptionRule("diarization", _speakers("How many there are at least.")),
    "max_speakers": OptionRule("diarization", _speakers("How many there are at most.")),
    "redact_pii": OptionRule(
        "privacy",
        _Policies(
            metadata={
                "description": "What is left out of text and words: `true` for all, or a list.",
                "examples": [True, ["person_name", "phone_number"]],
            },
        ),
    ),
    "redact_audio": OptionRule(
        "privacy",
        Flag(
            metadata={
                "description": "Whether a copy of the recording is kept in which those words are "
                "silent. It redacts the text too."
            },
        ),
    ),
    "prosody": OptionRule(
        "prosody",
        Flag(metadata={"description": "Whether loudness, pitch, rate and pauses are measured."}),
        key="enabled",
    ),
    "timeline_bins": OptionRule(
        "summary",
        _WholeNumber(
            validate=validate.Range(1, 1000),
            metadata={"description": "Number of stretches in the timeline.", "examples": [20]},
        ),
    ),
}
"""By the name that clients know."""


class Strict(ma.Schema):
    """A schema that knows all that it may hold."""

    class Meta:
        """Refuse what is not known: a misspelt option must not be ignored."""

        unknown = ma.RAISE


Options = Strict.from_dict({name: rule.field for name, rule in OPTIONS.items()}, name="Options")
