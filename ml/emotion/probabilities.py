"""From logits to probabilities, without overflow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ml.taxonomy import BASE_EMOTIONS, BASE_OF, SUB_EMOTIONS

Floats = NDArray[np.floating[Any]]

_SMALLEST: Final = 1e-9
_MEMBERS: Final = np.array(
    [[float(BASE_OF[sub] == base) for base in BASE_EMOTIONS] for sub in SUB_EMOTIONS]
)
"""``(28, 7)``: 1 where a sub-emotion belongs to a base emotion."""


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


def base_evidence(sub: Floats) -> Floats:
    """Return ``(n, 7)``: what sub-emotion probabilities ``(n, 28)`` say of each base emotion.

    It is the logarithm of the probability that at least one of its sub-emotions is present,
    were they independent (a noisy or, Pearl 1988).
    """
    present = np.minimum(sub.astype(np.float64), 1.0 - _SMALLEST)
    absent = np.log1p(-present) @ _MEMBERS
    evidence: Floats = np.log(np.maximum(-np.expm1(absent), _SMALLEST))
    return evidence


class Logits(NamedTuple):
    """What the heads say of ``n`` sentences."""

    sub: Floats
    """``(n, 28)``, read with a sigmoid."""
    base: Floats
    """``(n, 7)``, read with a softmax."""
    intensity: Floats
    """``(n, 2)``: "more than mild", "more than moderate"; read with :func:`ordinal`."""

    def calibrated(self, temperatures: Mapping[str, float]) -> Probabilities:
        """Divide each head's logits by its temperature and read them (Guo et al. 2017).

        The base emotion hears two witnesses, the base head and the sub-emotions through
        :func:`base_evidence`; ``base`` and ``base_from_sub`` say how little each counts.
        Without ``base_from_sub`` the base head speaks alone.
        """
        sub = sigmoid(self.sub / temperatures["sub"])
        base = self.base / temperatures["base"]
        if "base_from_sub" in temperatures:
            base = base + base_evidence(sub) / temperatures["base_from_sub"]
        return Probabilities(
            sub, softmax(base), ordinal(self.intensity / temperatures["intensity"])
        )


class Probabilities(NamedTuple):
    """The same, as probabilities: ``(n, 28)``, ``(n, 7)`` and ``(n, 3)``."""

    sub: Floats
    base: Floats
    intensity: Floats
