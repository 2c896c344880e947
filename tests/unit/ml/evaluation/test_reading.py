"""What is measured is what the classifier says."""

import numpy as np
import pytest

from ml.emotion.checkpoint import Checkpoint
from ml.emotion.classifier import Classifier
from ml.evaluation.reading import Reader

TEXTS = ["I can't believe you did that!", "thank you so much", "What?", "It is on the table."]


@pytest.mark.parametrize("in_order", [False, True])
@pytest.mark.parametrize("use_features", [False, True])
def test_the_reader_says_what_the_classifier_says(in_order, use_features):
    checkpoint, reader = Checkpoint.load(), Reader(Checkpoint.load(), 1)
    logits = reader.logits(reader.encode(TEXTS), in_order=in_order, use_features=use_features)
    read = logits.calibrated(checkpoint.temperatures)
    said = Classifier(threads=1).predict(TEXTS, in_order=in_order, use_features=use_features)
    for row, prediction in enumerate(said):
        assert list(prediction.emotions.values()) == pytest.approx(read.base[row], abs=1e-3)
        assert list(prediction.sub_emotions.values()) == pytest.approx(read.sub[row], abs=1e-3)
        assert list(prediction.intensities.values()) == pytest.approx(read.intensity[row], abs=1e-3)


def test_texts_can_be_put_in_another_order():
    reader = Reader(Checkpoint.load(), 1)
    order = np.array([2, 0, 3, 1])
    moved = reader.logits(reader.encode(TEXTS).reordered(order))
    assert moved.sub == pytest.approx(reader.logits(reader.encode(TEXTS)).sub[order], abs=1e-3)
