import numpy as np
import pytest

from ml.corpora.data import UNKNOWN, goemotions
from ml.evaluation.answers import (
    CommentAnswers,
    LineAnswers,
    Lines,
    comment_scores,
    line_scores,
)
from ml.taxonomy import BASE_EMOTIONS, SUB_EMOTIONS

JOY, ANGER, GRIEF, CURIOSITY = (
    SUB_EMOTIONS.index(name) for name in ("joy", "anger", "grief", "curiosity")
)


def certain(*names):
    """Distributions that put nearly all on one base emotion each."""
    rows = [[0.94 if base == name else 0.01 for base in BASE_EMOTIONS] for name in names]
    return np.array(rows)


@pytest.fixture
def comments(tmp_path):
    (tmp_path / "goemotions").mkdir()
    rows = [(JOY,), (ANGER,), (JOY, ANGER), (CURIOSITY,)]
    lines = [f"text {i}\t{','.join(map(str, labels))}\tid" for i, labels in enumerate(rows)]
    (tmp_path / "goemotions" / "test.tsv").write_text("\n".join(lines))
    return goemotions(tmp_path, "test")


def test_comments_are_scored_on_the_rows_that_a_score_is_about(comments):
    base = certain("happiness", "sadness", "fear", "happiness")
    scores = comment_scores(CommentAnswers(comments.sub > 0, base), comments)
    # All labels that occur are right; the other 25 count as 0.
    assert scores["macro_f1"].value == pytest.approx(3 / 28)
    # The comment with joy and anger has no single base emotion: one of three is right.
    assert scores["base_accuracy"].value == pytest.approx(1 / 3)
    # Curiosity is none of the three.
    assert scores["three_accuracy"].value == pytest.approx(1 / 2)
    assert scores["calibration_error"].value == pytest.approx(0.94 - 1 / 3)


def test_only_three_emotions_compete_in_the_three_way_accuracy(comments):
    base = certain("fear", "fear", "fear", "fear")
    base[0, BASE_EMOTIONS.index("happiness")] = 0.05
    base[1, BASE_EMOTIONS.index("anger")] = 0.05
    scores = comment_scores(CommentAnswers(comments.sub > 0, base), comments)
    assert scores["base_accuracy"].value == 0
    assert scores["three_accuracy"].value == 1


def test_lines_without_a_label_are_left_out():
    lines = Lines(np.array([JOY, UNKNOWN, GRIEF]), np.array([UNKNOWN, 2, 0]), np.array([0, 0, 1]))
    answers = LineAnswers(certain("happiness", "fear", "anger"), np.eye(3)[[0, 1, 0]])
    scores = line_scores(answers, lines)
    assert scores["base_accuracy"].value == pytest.approx(1 / 2)
    assert scores["intensity_accuracy"].value == pytest.approx(1 / 2)
