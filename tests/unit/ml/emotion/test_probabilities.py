import numpy as np
import pytest

from ml.emotion.probabilities import Logits, ordinal, sigmoid, softmax


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


def test_a_higher_temperature_flattens():
    logits = Logits(np.array([[2.0]]), np.array([[2.0, 0.0]]), np.array([[2.0, 0.0]]))
    cold = logits.calibrated({"sub": 1.0, "base": 1.0, "intensity": 1.0})
    warm = logits.calibrated({"sub": 2.0, "base": 2.0, "intensity": 2.0})
    assert warm.sub[0, 0] < cold.sub[0, 0]
    assert warm.base[0, 0] < cold.base[0, 0]
    assert warm.intensity.sum() == pytest.approx(1.0)
