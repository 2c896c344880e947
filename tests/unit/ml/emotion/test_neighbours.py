import numpy as np

from ml.emotion.context import neighbours


def test_neighbours_come_in_order_and_stop_at_the_ends():
    rows, mask = neighbours(4, 2)
    assert rows[2].tolist() == [0, 1, 3, 0]
    assert mask.tolist() == [
        [0, 0, 1, 1],
        [0, 1, 1, 1],
        [1, 1, 1, 0],
        [1, 1, 0, 0],
    ]


def test_one_sentence_has_none():
    rows, mask = neighbours(1, 3)
    assert rows.shape == (1, 6)
    assert not mask.any()


def test_no_sentence_sees_itself():
    rows, mask = neighbours(50, 3)
    own = np.arange(50)[:, None]
    assert not ((rows == own) & (mask > 0)).any()
