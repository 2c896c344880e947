"""Who said what, when, and with which emotion: from a link, a recording or text.

    from emotion_clf import EmotionPredictor

    EmotionPredictor().predict(["Exciting news!"])

Importing this package loads no model and no heavy library; the names below are loaded
when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from emotion_clf._version import __version__

if TYPE_CHECKING:
    from emotion_clf.predictor import EmotionPredictor
    from ml.errors import EmotionClfError
    from ml.options import (
        ClassificationOptions,
        DiarizationOptions,
        PipelineOptions,
        PrivacyOptions,
        ProsodyOptions,
        SourceOptions,
        SummaryOptions,
        TranscriptionOptions,
    )
    from ml.results import Analysis, Prediction, Prosody, Segment, Summary, Word

__all__ = [
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

_HOMES = {
    "EmotionPredictor": "emotion_clf.predictor",
    "EmotionClfError": "ml.errors",
    "ClassificationOptions": "ml.options",
    "DiarizationOptions": "ml.options",
    "PipelineOptions": "ml.options",
    "PrivacyOptions": "ml.options",
    "ProsodyOptions": "ml.options",
    "SourceOptions": "ml.options",
    "SummaryOptions": "ml.options",
    "TranscriptionOptions": "ml.options",
    "Analysis": "ml.results",
    "Prediction": "ml.results",
    "Prosody": "ml.results",
    "Segment": "ml.results",
    "Summary": "ml.results",
    "Word": "ml.results",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
