from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from emotion_clf import ClassificationOptions, EmotionClfError, EmotionPredictor, PipelineOptions
from ml.emotion.checkpoint import CARRIED, CONFIG, ENCODER


@pytest.fixture(scope="module")
def predictor() -> EmotionPredictor:
    return EmotionPredictor()


def with_model(folder: Path) -> PipelineOptions:
    return PipelineOptions(classification=ClassificationOptions(model=str(folder)))


def test_damaged_files_are_named_when_a_predictor_is_made(tmp_path: Path) -> None:
    copied = Path(shutil.copytree(CARRIED, tmp_path / "copied"))
    EmotionPredictor(with_model(copied))
    (copied / ENCODER).write_bytes((copied / ENCODER).read_bytes()[:-1])
    with pytest.raises(EmotionClfError, match=f"{ENCODER} is damaged") as caught:
        EmotionPredictor(with_model(copied))
    assert caught.value.code == "model.unavailable"
    (copied / CONFIG).unlink()
    with pytest.raises(EmotionClfError, match=f"lacks {CONFIG}"):
        EmotionPredictor(with_model(copied))


@pytest.mark.parametrize("method", ["predict", "predict_iter"])
def test_other_languages_are_refused_unless_one_says_otherwise(
    predictor: EmotionPredictor, method: str
) -> None:
    texts = ["I am so happy!", "No puedo creer que hayas hecho eso conmigo."]
    with pytest.raises(EmotionClfError) as caught:
        list(getattr(predictor, method)(texts))
    assert caught.value.code == "language.unsupported"
    assert "texts[1]" in str(caught.value)
    marked = list(getattr(predictor, method)(texts, other_languages="mark"))
    assert marked[1].low_confidence
    assert len(list(getattr(predictor, method)(texts, other_languages="ignore"))) == 2


def test_a_stream_can_be_read_in_order(predictor: EmotionPredictor) -> None:
    lines = ["He died last night.", "Oh no.", "The funeral is on Friday."]
    streamed = list(predictor.predict_iter(iter(lines), in_order=True))
    assert streamed == predictor.predict(lines, in_order=True)
