"""From probabilities to predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ml.emotion.probabilities import Probabilities
from ml.emotion.texts import Given
from ml.results import Prediction
from ml.taxonomy import BASE_EMOTIONS, INTENSITIES, SUB_EMOTIONS, SUBS_OF

_DIGITS: Final = 4
_SUB_ROWS: Final = tuple(
    np.array([SUB_EMOTIONS.index(sub) for sub in SUBS_OF[base]]) for base in BASE_EMOTIONS
)


def worded(
    given: Sequence[Given],
    probabilities: Probabilities,
    thresholds: NDArray[np.floating[Any]],
    confidence_threshold: float,
) -> list[Prediction]:
    """Return one prediction for each text; ``thresholds`` ``(28,)`` decide on the labels."""
    # Rounded all at once: one number at a time takes longer than the small heads do.
    rounded = (np.round(each.astype(np.float64), _DIGITS).tolist() for each in probabilities)
    present = probabilities.sub >= thresholds
    return [
        _prediction(each, probabilities.sub[row], present[row], lists, confidence_threshold)
        for row, (each, *lists) in enumerate(zip(given, *rounded, strict=True))
    ]


def _prediction(
    given: Given,
    sub: NDArray[np.floating[Any]],
    present: NDArray[np.bool_],
    rounded: Sequence[list[float]],
    confidence_threshold: float,
) -> Prediction:
    """Put one text's probabilities into words; ``rounded`` holds those of the three heads."""
    subs, bases, intensities = rounded
    strongest = bases.index(max(bases))
    members = _SUB_ROWS[strongest]
    labels = np.flatnonzero(present)
    return Prediction(
        text=given.text,
        emotion=BASE_EMOTIONS[strongest],
        sub_emotion=SUB_EMOTIONS[members[int(sub[members].argmax())]],
        intensity=INTENSITIES[intensities.index(max(intensities))],
        confidence=bases[strongest],
        low_confidence=given.doubtful or bases[strongest] < confidence_threshold,
        emotions=dict(zip(BASE_EMOTIONS, bases, strict=True)),
        sub_emotions=dict(zip(SUB_EMOTIONS, subs, strict=True)),
        intensities=dict(zip(INTENSITIES, intensities, strict=True)),
        labels=tuple(SUB_EMOTIONS[row] for row in labels[np.argsort(-sub[labels], kind="stable")]),
    )
