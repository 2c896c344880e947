"""From logits to probabilities, without overflow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


def sigmoid(logits: Floats) -> Floats:
    """Return ``1 / (1 + exp(-logits))``."""
    values: Floats = 0.5 * (1.0 + np.tanh(0.5 * logits))
    return values


def softmax(logits: Floats) -> Floats:
    """Return the softmax over the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    values: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return values


def ordinal(logits: Floats) -> Floats:
    """Turn ``(n, k - 1)`` falling logits of "more than class i" into ``(n, k)`` probabilities."""
    more = sigmoid(logits)
    edges = np.concatenate([np.ones_like(more[:, :1]), more, np.zeros_like(more[:, :1])], axis=1)
    values: Floats = np.clip(edges[:, :-1] - edges[:, 1:], 0.0, 1.0)
    return values


class Logits(NamedTuple):
    """What the heads say of ``n`` sentences."""

    sub: Floats
    """``(n, 28)``, read with a sigmoid."""
    base: Floats
    """``(n, 7)``, read with a softmax."""
    intensity: Floats
    """``(n, 2)``: "more than mild", "more than moderate"; read with :func:`ordinal`."""

    def calibrated(self, temperatures: Mapping[str, float]) -> Probabilities:
        """Divide each head's logits by its temperature and read them (Guo et al. 2017)."""
        return Probabilities(
            sigmoid(self.sub / temperatures["sub"]),
            softmax(self.base / temperatures["base"]),
            ordinal(self.intensity / temperatures["intensity"]),
        )


class Probabilities(NamedTuple):
    """The same, as probabilities: ``(n, 28)``, ``(n, 7)`` and ``(n, 3)``."""

    sub: Floats
    base: Floats
    intensity: Floats
