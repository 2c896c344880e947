"""The emotion taxonomy: 28 sub-emotions, 7 base emotions, 3 intensities.

The sub-emotions are GoEmotions' 27 and ``neutral``, in the order of its label file
(Demszky et al. 2020, https://aclanthology.org/2020.acl-main.372). Each belongs to one
base emotion: Ekman's six as that paper groups them, and ``neutral``. This table is the
only place where the grouping stands; predictions never contradict it.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

SUB_EMOTIONS: Final[tuple[str, ...]] = (
    "admiration",
    "amusement",
    "anger",
    "annoyance",
    "approval",
    "caring",
    "confusion",
    "curiosity",
    "desire",
    "disappointment",
    "disapproval",
    "disgust",
    "embarrassment",
    "excitement",
    "fear",
    "gratitude",
    "grief",
    "joy",
    "love",
    "nervousness",
    "optimism",
    "pride",
    "realization",
    "relief",
    "remorse",
    "sadness",
    "surprise",
    "neutral",
)
"""The 28 sub-emotions, in the order of every sub-emotion vector in this project."""

_GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "happiness": (
        "admiration",
        "amusement",
        "approval",
        "caring",
        "desire",
        "excitement",
        "gratitude",
        "joy",
        "love",
        "optimism",
        "pride",
        "relief",
    ),
    "sadness": ("disappointment", "embarrassment", "grief", "remorse", "sadness"),
    "anger": ("anger", "annoyance", "disapproval"),
    "fear": ("fear", "nervousness"),
    "surprise": ("confusion", "curiosity", "realization", "surprise"),
    "disgust": ("disgust",),
    "neutral": ("neutral",),
}

BASE_EMOTIONS: Final[tuple[str, ...]] = tuple(_GROUPS)
"""The 7 base emotions, in the order of every base-emotion vector in this project."""

INTENSITIES: Final[tuple[str, ...]] = ("mild", "moderate", "intense")
"""The 3 intensities, weakest first."""

BASE_OF: Final = MappingProxyType({sub: base for base, subs in _GROUPS.items() for sub in subs})
"""The base emotion of each sub-emotion."""

SUBS_OF: Final = MappingProxyType(dict(_GROUPS))
"""The sub-emotions of each base emotion."""
