from __future__ import annotations

import subprocess
import sys

import pytest

import emotion_clf


def test_the_public_names() -> None:
    assert emotion_clf.__all__ == [
        "Analysis",
        "ClassificationOptions",
        "DiarizationOptions",
        "EmotionClfError",
        "EmotionPredictor",
        "PipelineOptions",
        "Prediction",
        "PrivacyOptions",
        "Prosody",
        "ProsodyOptions",
        "Segment",
        "SourceOptions",
        "Summary",
        "SummaryOptions",
        "TranscriptionOptions",
        "Word",
        "__version__",
    ]
    assert all(hasattr(emotion_clf, name) for name in emotion_clf.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Predictor"):
        emotion_clf.Predictor  # noqa: B018


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import emotion_clf, sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {"numpy", "torch", "onnxruntime", "ctranslate2", "av", "spacy", "flask", "msgspec"}
    assert not heavy & set(loaded)


@pytest.mark.parametrize("method", ["predict", "predict_iter"])
def test_one_text_in_place_of_a_list_is_a_type_error(method: str) -> None:
    with pytest.raises(TypeError, match="list of texts"):
        getattr(emotion_clf.EmotionPredictor(), method)("Exciting news!")


@pytest.mark.parametrize(
    "source", ["http://127.0.0.1/a.mp3", "HTTP://127.0.0.1/a.mp3", "Https://127.0.0.1/a.mp3"]
)
def test_a_scheme_in_any_case_is_an_address(source: str) -> None:
    with pytest.raises(emotion_clf.EmotionClfError) as caught:
        emotion_clf.EmotionPredictor().analyze(source)
    assert caught.value.code == "source.forbidden_address"


def test_the_example_of_the_readme() -> None:
    (prediction,) = emotion_clf.EmotionPredictor().predict(["Exciting news!"])
    assert prediction.emotion == "happiness"
    assert prediction.sub_emotion == "excitement"
