"""Whose error it is: one item's, or everybody's."""

from __future__ import annotations

import pytest

from emotion_clf.batch import here
from ml.errors import Cancelled, MediaInvalid, ModelUnavailable
from ml.options import PipelineOptions
from ml.pipeline import Runner
from ml.stage import Input


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> dict[str, Exception]:
    """What the pipeline raises, by source."""
    errors: dict[str, Exception] = {}

    def run(self: Runner, source: Input) -> None:
        raise errors[source.value]

    monkeypatch.setattr(Runner, "run", run)
    return errors


def codes(*sources: str) -> list[str]:
    outcomes = here.analyse_here(sources, PipelineOptions(), lambda *said: None)
    return [outcome.error.code for outcome in outcomes if outcome.error]


def test_an_item_that_cannot_be_used_ends_itself_alone(failing: dict[str, Exception]) -> None:
    failing |= {"a.mp3": MediaInvalid(), "b.mp3": ZeroDivisionError("a defect")}
    assert codes("a.mp3", "b.mp3") == ["media.invalid", "internal"]


@pytest.mark.parametrize("error", [ModelUnavailable(), Cancelled(), OSError(28, "No space left")])
def test_what_the_next_item_would_meet_too_ends_the_batch(
    failing: dict[str, Exception], error: Exception
) -> None:
    failing |= {"a.mp3": error, "b.mp3": MediaInvalid()}
    with pytest.raises(type(error)):
        codes("a.mp3", "b.mp3")
