import numpy as np
import pytest

from ml.emotion.probabilities import sigmoid, softmax
from ml.training.calibrate import (
    calibration_error,
    distribution_loss,
    f1_per_label,
    macro_f1,
    multilabel_loss,
    temperature,
    tune_thresholds,
)


def test_f1_of_each_label():
    predicted = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0]], bool)
    target = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 0]], float)
    assert f1_per_label(predicted, target) == pytest.approx([2 / 3, 2 / 3, 0])
    assert macro_f1(predicted, target) == pytest.approx(4 / 9)


def test_thresholds_are_the_best_there_are():
    generator = np.random.default_rng(1)
    target = (generator.random((300, 4)) < 0.2).astype(float)
    probabilities = np.clip(0.3 * target + 0.7 * generator.random((300, 4)), 0, 1)
    best = f1_per_label(probabilities >= tune_thresholds(probabilities, target), target)
    for other in np.linspace(0.01, 0.99, 99):
        assert (f1_per_label(probabilities >= other, target) <= best + 1e-9).all()


def test_a_label_that_never_occurs_has_a_threshold_all_the_same():
    thresholds = tune_thresholds(np.array([[0.2], [0.4]]), np.zeros((2, 1)))
    assert thresholds.tolist() == [0.5]


@pytest.mark.parametrize("true", [0.5, 1.0, 2.0])
def test_temperature_finds_what_the_logits_were_multiplied_by(true):
    generator = np.random.default_rng(2)
    logits = generator.normal(size=(20_000, 3)) * 2
    drawn = (softmax(logits).cumsum(axis=1) > generator.random((20_000, 1))).argmax(axis=1)
    found = temperature(logits * true, np.eye(3)[drawn], softmax, distribution_loss)
    assert found == pytest.approx(true, rel=0.08)


def test_temperature_of_independent_labels():
    generator = np.random.default_rng(3)
    logits = generator.normal(size=(20_000, 3)) * 2
    target = (generator.random(logits.shape) < sigmoid(logits)).astype(float)
    assert temperature(logits * 2, target, sigmoid, multilabel_loss) == pytest.approx(2, rel=0.08)


def test_calibration_error():
    confidence = np.full(1_000, 0.8)
    correct = np.arange(1_000) < 800
    assert calibration_error(confidence, correct) == pytest.approx(0, abs=1e-9)
    assert calibration_error(np.ones(1_000), correct) == pytest.approx(0.2)
