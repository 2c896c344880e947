from dataclasses import replace

import pytest

from ml.emotion.checkpoint import Checkpoint
from ml.emotion.heads import Heads
from ml.errors import ModelUnavailable


def test_a_graph_that_is_not_the_heads_is_named():
    checkpoint = Checkpoint.load()
    with pytest.raises(ModelUnavailable, match=r"heads\.onnx has other inputs"):
        Heads(replace(checkpoint, heads=checkpoint.encoder), 1)


def test_a_graph_that_is_none_is_named():
    with pytest.raises(ModelUnavailable, match=r"heads\.onnx cannot be loaded"):
        Heads(replace(Checkpoint.load(), heads=b"no graph"), 1)
