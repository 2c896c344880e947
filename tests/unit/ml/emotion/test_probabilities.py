import math

import numpy as np
import pytest

from ml.emotion.probabilities import Logits, base_evidence, ordinal, sigmoid, softmax
from ml.taxonomy import BASE_EMOTIONS, SUB_EMOTIONS


def test_sigmoid_is_exact_and_does_not_overflow():
    with np.errstate(all="raise"):
        values = sigmoid(np.array([-1e4, -1.0, 0.0, 1.0, 1e4]))
    assert values == pytest.approx([0.0, 0.26894142, 0.5, 0.73105858, 1.0])


def test_softmax_sums_to_one_and_does_not_overflow():
    values = softmax(np.array([[1e4, 0.0], [np.log(3), 0.0]]))
    assert values == pytest.approx(np.array([[1.0, 0.0], [0.75, 0.25]]))


def test_ordinal_is_a_distribution_with_the_given_tails():
    values = ordinal(np.array([[2.0, -1.0], [-9.0, -9.5]]))
    assert values.sum(axis=1) == pytest.approx([1.0, 1.0])
    assert 1 - values[0, 0] == pytest.approx(sigmoid(np.array(2.0)))
    assert values[0, 2] == pytest.approx(sigmoid(np.array(-1.0)))


HEATS = {"sub": 1.0, "base": 1.0, "base_from_sub": 1.0, "intensity": 1.0}


def logits_of(sub=(), base=()) -> Logits:
    """One sentence's logits: what is named is likely, everything else unlikely."""
    rows = np.full((1, len(SUB_EMOTIONS)), -4.0), np.zeros((1, len(BASE_EMOTIONS)))
    rows[0][0, [SUB_EMOTIONS.index(name) for name in sub]] = 4.0
    rows[1][0, [BASE_EMOTIONS.index(name) for name in base]] = 2.0
    return Logits(*rows, np.array([[2.0, 0.0]]))


def test_a_higher_temperature_flattens():
    logits = logits_of(sub=["joy"], base=["happiness"])
    cold, warm = (logits.calibrated(dict.fromkeys(HEATS, heat)) for heat in (1.0, 2.0))
    assert warm.sub.max() < cold.sub.max()
    assert warm.base.max() < cold.base.max()
    assert warm.intensity.sum() == pytest.approx(1.0)


def test_evidence_is_that_any_sub_emotion_is_present():
    sub = np.zeros((2, len(SUB_EMOTIONS)))
    sub[0, SUB_EMOTIONS.index("joy")] = 0.5
    sub[0, SUB_EMOTIONS.index("love")] = 0.5
    sub[1] = 1.0
    seen = np.exp(base_evidence(sub))
    assert seen[0, BASE_EMOTIONS.index("happiness")] == pytest.approx(0.75)
    assert seen[0, BASE_EMOTIONS.index("anger")] < 1e-8
    assert seen[1] == pytest.approx(1.0)


def test_the_sub_emotions_speak_for_their_base_emotion():
    logits = logits_of(sub=["grief"])
    loud, faint = (
        logits.calibrated(HEATS | {"base_from_sub": heat}).base[0, BASE_EMOTIONS.index("sadness")]
        for heat in (1.0, math.inf)
    )
    silent = logits.calibrated({name: heat for name, heat in HEATS.items() if "from" not in name})
    assert loud > 0.7
    assert faint == pytest.approx(1 / 7)
    assert silent.base == pytest.approx(1 / 7)


def test_probabilities_sum_to_one_however_sure_the_heads_are():
    with np.errstate(all="raise"):
        read = Logits(
            np.full((1, len(SUB_EMOTIONS)), -500.0, np.float32),
            np.full((1, len(BASE_EMOTIONS)), 500.0, np.float32),
            np.array([[500.0, -500.0]], np.float32),
        ).calibrated(HEATS)
    assert read.base.sum() == pytest.approx(1.0)
    assert read.intensity.sum() == pytest.approx(1.0)
