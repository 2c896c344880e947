"""The result that ``docs/api.md`` shows is the one that the pipeline returns."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ml.options import PipelineOptions, SummaryOptions
from ml.pipeline import Runner
from ml.stage import Input

DOCUMENTATION = Path(__file__).parents[3] / "docs" / "api.md"
TOLERANCE = 0.05
"""Processors round differently: probabilities by a hundredth, times by two of Whisper's frames."""


def documented() -> Any:
    blocks = re.findall(r"```json\n(.*?)```", DOCUMENTATION.read_text(), re.DOTALL)
    (result,) = [found for found in map(json.loads, blocks) if "segments" in found]
    return result


def numbers_as_near(value: Any) -> Any:
    """Return the value with each number equal to whatever lies near it."""
    if isinstance(value, float):
        return pytest.approx(value, abs=TOLERANCE)
    if isinstance(value, dict):
        return {name: numbers_as_near(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [numbers_as_near(inner) for inner in value]
    return value


def shape(value: Any) -> Any:
    """Return the names and types that a value is made of; of a list those of its first item."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value)


def words(result: Any) -> list[str]:
    return re.findall(r"\w+", " ".join(segment["text"] for segment in result["segments"]).lower())


def test_the_example_is_what_the_sample_clip_gives(jfk: Path) -> None:
    options = PipelineOptions(summary=SummaryOptions(timeline_bins=2))
    result = Runner(options=options).run(Input("file", str(jfk))).to_dict()
    # Tuples have become lists once it went over the wire.
    given, shown = json.loads(json.dumps(result)), documented()
    assert shape(given) == shape(shown)
    assert words(given) == words(shown)
    # A processor that rounds otherwise may hear another comma, and other emotions with it.
    if [s["text"] for s in given["segments"]] == [s["text"] for s in shown["segments"]]:
        assert given == numbers_as_near(shown)
