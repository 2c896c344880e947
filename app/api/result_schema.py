"""The OpenAPI schemas of a result, generated from the result types."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import msgspec
from apispec import APISpec

from ml.results import Analysis
from ml.taxonomy import BASE_EMOTIONS, INTENSITIES, SUB_EMOTIONS

ANALYSIS = {"$ref": "#/components/schemas/Analysis"}

_NAMES: dict[str, Sequence[str]] = {
    "emotion": BASE_EMOTIONS,
    "dominant_emotion": BASE_EMOTIONS,
    "sub_emotion": SUB_EMOTIONS,
    "intensity": INTENSITIES,
}
_DISTRIBUTIONS: dict[str, Sequence[str]] = {
    "emotions": BASE_EMOTIONS,
    "sub_emotions": SUB_EMOTIONS,
    "intensities": INTENSITIES,
}
_PROBABILITY = {"type": "number", "minimum": 0, "maximum": 1}


def register(spec: APISpec) -> None:
    """Add the schemas that ``Analysis`` consists of to ``spec``."""
    _, components = msgspec.json.schema_components(
        [Analysis], ref_template="#/components/schemas/{name}"
    )
    for name, schema in components.items():
        schema["description"] = inspect.cleandoc(schema.get("description", ""))
        schema["properties"] = {
            key: _narrowed(key, value) for key, value in schema["properties"].items()
        }
        # Every member is always written, those with a default too.
        schema["required"] = list(schema["properties"])
        spec.components.schema(name, schema)


def _narrowed(key: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Say what the annotations cannot: the words of the taxonomy, and what a probability is."""
    if key in _NAMES:
        nullable = [None] if "anyOf" in schema else []
        return {"enum": [*_NAMES[key], *nullable]}
    if key in _DISTRIBUTIONS:
        names = _DISTRIBUTIONS[key]
        return {
            "type": "object",
            "properties": dict.fromkeys(names, _PROBABILITY),
            "required": list(names),
            "additionalProperties": False,
        }
    if key == "labels":
        return {"type": "array", "items": {"enum": list(SUB_EMOTIONS)}}
    return _PROBABILITY if key == "confidence" else schema
