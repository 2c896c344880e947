import numpy as np
import pytest

from ml.corpora.data import BASE_INDEX_OF_SUB
from ml.emotion.probabilities import sigmoid, softmax
from ml.evaluation.calibrate import (
    distribution_loss,
    multilabel_loss,
    temperature,
    tune_thresholds,
    witnesses,
)
from ml.evaluation.scores import f1_per_label
from ml.taxonomy import BASE_EMOTIONS, SUB_EMOTIONS


def test_without_trust_thresholds_are_the_best_there_are():
    generator = np.random.default_rng(1)
    target = (generator.random((300, 4)) < 0.2).astype(float)
    probabilities = np.clip(0.3 * target + 0.7 * generator.random((300, 4)), 0, 1)
    best = f1_per_label(probabilities >= tune_thresholds(probabilities, target, 0.0), target)
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


def test_with_full_trust_a_threshold_is_half_the_best_f1():
    probabilities = np.random.default_rng(4).beta(0.5, 3, size=(50_000, 1))
    threshold = tune_thresholds(probabilities, np.ones_like(probabilities), 1.0)
    kept = probabilities[probabilities >= threshold].sum()
    expected = 2 * kept / ((probabilities >= threshold).sum() + probabilities.sum())
    assert threshold[0] == pytest.approx(expected / 2, rel=0.02)


def test_thresholds_of_rare_labels_do_better_on_other_texts():
    """What the tuning is for: a dozen examples of each label, and a calibrated model."""
    generator = np.random.default_rng(5)
    scores = {0.0: [], 0.5: []}
    for _ in range(30):
        probabilities = generator.beta(0.02, 4, size=(4_000, 8))
        target = (generator.random(probabilities.shape) < probabilities).astype(float)
        dev, test = slice(0, 2_000), slice(2_000, None)
        for trust, found in scores.items():
            thresholds = tune_thresholds(probabilities[dev], target[dev], trust)
            found.append(f1_per_label(probabilities[test] >= thresholds, target[test]).mean())
    assert np.mean(scores[0.5]) > np.mean(scores[0.0]) + 0.005


def test_the_witness_that_knows_is_heard():
    generator = np.random.default_rng(6)
    chosen = generator.integers(len(SUB_EMOTIONS), size=2_000)
    target = np.eye(len(BASE_EMOTIONS))[BASE_INDEX_OF_SUB[chosen]]
    sub = np.where(np.eye(len(SUB_EMOTIONS))[chosen] > 0, 0.7, 0.02)
    noise = generator.normal(size=target.shape)
    own, other = witnesses(noise, sub, target)
    assert own > 10 * other
    own, other = witnesses(5 * target + noise, np.full_like(sub, 0.1), target)
    assert own < 2
