import numpy as np
import pytest

from ml.evaluation.bootstrap import BLOCK_LINES, blocks, figure
from ml.evaluation.scores import accuracy, calibration_error


def hits(share, count=2_000):
    """Answers of which ``share`` are right, evenly spread."""
    truth = np.zeros(count, int)
    answer = (np.arange(count) % 100 >= share * 100).astype(int)
    return answer, truth


def test_the_interval_of_a_share_is_that_of_the_binomial():
    answer, truth = hits(0.8)
    found = figure(accuracy(answer, truth, np.arange(2_000)))
    spread = 1.96 * np.sqrt(0.8 * 0.2 / 2_000)
    assert found["value"] == 0.8
    assert found["low"] == pytest.approx(0.8 - spread, abs=0.003)
    assert found["high"] == pytest.approx(0.8 + spread, abs=0.003)


def test_rows_that_go_together_leave_more_doubt():
    """A hundred times the same twenty answers say no more than twenty."""
    answer = np.repeat(np.arange(20) % 2, 100)
    alone, together = (
        figure(accuracy(answer, np.zeros_like(answer), unit))
        for unit in (np.arange(2_000), np.repeat(np.arange(20), 100))
    )
    width = [each["high"] - each["low"] for each in (alone, together)]
    assert width[1] == pytest.approx(10 * width[0], rel=0.2)


def test_a_paired_difference_is_surer_than_two_figures():
    answer, truth = hits(0.8)
    better = answer.copy()
    better[answer.nonzero()[0][:20]] = 0
    unit = np.arange(2_000)
    before, after = accuracy(answer, truth, unit), accuracy(better, truth, unit)
    gain = figure(after.minus(before))
    assert gain["value"] == pytest.approx(0.01)
    assert gain["low"] > 0
    assert figure(after)["low"] < figure(before)["high"]


def test_the_interval_of_a_calibration_error_holds_its_value():
    """Resampling alone makes the error of a calibrated model grow."""
    generator = np.random.default_rng(0)
    confidence = generator.uniform(0.3, 1, 3_000)
    correct = generator.random(3_000) < confidence
    found = figure(calibration_error(confidence, correct, np.arange(3_000)))
    assert 0 <= found["low"] < found["value"] < found["high"]


def test_the_same_figure_twice():
    answer, truth = hits(0.7)
    assert figure(accuracy(answer, truth, np.arange(2_000))) == figure(
        accuracy(answer, truth, np.arange(2_000))
    )


def test_blocks_never_reach_across_transcripts():
    numbers = blocks([BLOCK_LINES + 1, 1, 2 * BLOCK_LINES])
    sizes = np.bincount(numbers).tolist()
    assert sizes == [BLOCK_LINES, 1, 1, BLOCK_LINES, BLOCK_LINES]
    assert (np.diff(numbers) >= 0).all()
