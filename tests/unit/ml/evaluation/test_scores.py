import numpy as np
import pytest
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score

from ml.evaluation.scores import (
    accuracy,
    calibration_error,
    confusion,
    f1_per_label,
    labels_macro_f1,
    macro_f1,
    quadratic_kappa,
)


@pytest.fixture
def answered():
    """Answers of three classes that are right more often than not, and their units."""
    generator = np.random.default_rng(1)
    truth = generator.integers(3, size=400)
    answer = np.where(generator.random(400) < 0.6, truth, generator.integers(3, size=400))
    return answer, truth, np.arange(400)


def test_scores_are_what_scikit_learn_says(answered):
    answer, truth, unit = answered
    assert accuracy(answer, truth, unit).value == pytest.approx(accuracy_score(truth, answer))
    assert macro_f1(answer, truth, 3, unit).value == pytest.approx(
        f1_score(truth, answer, average="macro")
    )
    assert quadratic_kappa(answer, truth, 3, unit).value == pytest.approx(
        cohen_kappa_score(truth, answer, weights="quadratic")
    )


def test_kappa_counts_a_wide_miss_more(answered):
    _, truth, unit = answered
    near, far = np.clip(truth + 1, 0, 2), 2 - truth
    assert quadratic_kappa(truth, truth, 3, unit).value == pytest.approx(1)
    kappas = [quadratic_kappa(each, truth, 3, unit).value for each in (near, far)]
    assert kappas[0] > 0 > kappas[1]


def test_kappa_of_one_answer_for_all_is_zero(answered):
    _, truth, unit = answered
    assert quadratic_kappa(np.ones_like(truth), truth, 3, unit).value == pytest.approx(0)


def test_f1_of_each_label():
    present = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0]], bool)
    target = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 0]], float)
    assert f1_per_label(present, target) == pytest.approx([2 / 3, 2 / 3, 0])
    assert labels_macro_f1(present, target, np.arange(3)).value == pytest.approx(4 / 9)


def test_calibration_error():
    unit, correct = np.arange(1_000), np.arange(1_000) < 800
    right = calibration_error(np.full(1_000, 0.8), correct, unit)
    assert right.value == pytest.approx(0, abs=1e-9)
    assert calibration_error(np.ones(1_000), correct, unit).value == pytest.approx(0.2)


def test_a_difference_is_the_difference_of_the_values(answered):
    answer, truth, unit = answered
    before, after = accuracy(1 - truth, truth, unit), macro_f1(answer, truth, 3, unit)
    assert after.minus(before).value == pytest.approx(after.value - before.value)


def test_confusion_has_the_truth_in_its_rows():
    table = confusion(np.array([1, 1, 0]), np.array([0, 0, 1]), 2)
    assert table.tolist() == [[0, 2], [1, 0]]
