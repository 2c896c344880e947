from __future__ import annotations

import json

import msgspec
import pytest

from ml.results import Analysis, Prediction, Segment, Sentence
from ml.taxonomy import BASE_EMOTIONS, INTENSITIES, SUB_EMOTIONS

PREDICTION = Prediction(
    text="Great news!",
    emotion="happiness",
    sub_emotion="joy",
    intensity="moderate",
    confidence=0.9,
    low_confidence=False,
    emotions=dict.fromkeys(BASE_EMOTIONS, 1 / 7),
    sub_emotions=dict.fromkeys(SUB_EMOTIONS, 0.1),
    intensities=dict.fromkeys(INTENSITIES, 1 / 3),
    labels=("joy", "excitement"),
)


def test_a_prediction_is_frozen() -> None:
    with pytest.raises(AttributeError):
        PREDICTION.emotion = "anger"  # type: ignore[misc]


def test_a_prediction_survives_json() -> None:
    plain = json.loads(json.dumps(PREDICTION.to_dict()))
    assert msgspec.convert(plain, Prediction) == PREDICTION


def test_a_segment_joins_sentence_and_prediction() -> None:
    sentence = Sentence(3, "Great news!", 1.0, 2.0, "A")
    segment = Segment.of(sentence, PREDICTION)
    assert (segment.index, segment.start, segment.speaker) == (3, 1.0, "A")
    assert (segment.emotion, segment.labels) == ("happiness", ("joy", "excitement"))


def test_a_document_of_another_shape_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        Analysis.from_dict({"language": "en"})
