"""The encoder's graphs against the encoder itself, and how the CPU runtime runs them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch: pip install 'emotion-clf[train]'")
pytest.importorskip("transformers", reason="training needs transformers")
pytest.importorskip("onnx", reason="export needs onnx")

import onnx
import torch
from onnx import numpy_helper

from ml.emotion.dequantise import weights
from ml.emotion.model import Encoder, deberta
from ml.emotion.runtime import encoder_session
from ml.training.deberta_graph import is_lean
from ml.training.encoder_graph import export_encoder, quantise

pytestmark = pytest.mark.train

VOCABULARY = 1_200
LENGTHS = (1, 2, 5, 17, 18, 40, 100)
SMALL = {"vocab_size": VOCABULARY, "hidden": 32, "layers": 2, "attention_heads": 4}
DEBERTA = deberta(**SMALL, intermediate=64)
PUBLISHED = DEBERTA | {"position_biased_input": False, "position_buckets": 8}
BERT_LIKE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 130,
}
BACKBONES = {
    "ours": DEBERTA,
    "published": PUBLISHED,
    "short distances": PUBLISHED | {"max_relative_positions": 20},
    "with a convolution": DEBERTA | {"conv_kernel_size": 3},
    "own keys for distances": DEBERTA | {"share_att_key": False},
    "bert": BERT_LIKE | {"model_type": "bert"},
    "roberta": BERT_LIKE | {"model_type": "roberta"},
}
LEAN = {"ours", "published", "short distances"}


def random_encoder(backbone: dict) -> Encoder:
    torch.manual_seed(0)
    encoder = Encoder(backbone).eval()
    with torch.no_grad():
        # Fresh biases are all zero, and fresh distances next to nothing.
        for parameter in encoder.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return encoder


@pytest.fixture(scope="module", params=BACKBONES)
def backbone(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def encoder(backbone) -> Encoder:
    return random_encoder(BACKBONES[backbone])


@pytest.fixture(scope="module")
def graphs(encoder, tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("graphs")
    export_encoder(encoder, folder / "full.onnx")
    quantise(folder / "full.onnx", folder / "int8.onnx")
    return {name: folder / f"{name}.onnx" for name in ("full", "int8")}


def ids(count: int, length: int) -> np.ndarray:
    return np.random.default_rng(length).integers(5, VOCABULARY, (count, length))


def pooled(graph: Path, rows: np.ndarray) -> np.ndarray:
    session = encoder_session(graph.read_bytes())
    inputs = {each.name for each in session.get_inputs()}
    given = {"input_ids": rows, "attention_mask": np.ones_like(rows)}
    return session.run(None, {name: given[name] for name in inputs})[0]


def as_torch(encoder: Encoder, rows: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        tokens = torch.from_numpy(rows)
        return encoder(tokens, torch.ones_like(tokens)).numpy()


def test_the_lean_graph_is_for_what_it_knows(encoder, graphs, backbone):
    assert is_lean(encoder.backbone) == (backbone in LEAN)
    inputs = [each.name for each in onnx.load(str(graphs["int8"])).graph.input]
    assert ("attention_mask" in inputs) == (backbone not in LEAN)


@pytest.mark.parametrize("length", LENGTHS)
def test_the_full_graph_is_the_encoder(encoder, graphs, length):
    rows = ids(3, length)
    found = pooled(graphs["full"], rows)
    assert found == pytest.approx(as_torch(encoder, rows), abs=1e-5)


def test_int8_stays_close(encoder, graphs):
    rows = ids(64, 17)
    expected, found = as_torch(encoder, rows), pooled(graphs["int8"], rows)
    assert 0 < np.abs(found - expected).mean() < 0.03 * expected.std()


def test_a_sentence_has_the_same_vector_in_any_company(graphs):
    rows = ids(40, 17)
    together = pooled(graphs["int8"], rows)
    alone = np.concatenate([pooled(graphs["int8"], rows[[place]]) for place in (0, 7, 39)])
    assert together[[0, 7, 39]] == pytest.approx(alone, abs=1e-5)


def test_the_weights_can_be_read_back(encoder, graphs):
    state = {name: value.numpy() for name, value in encoder.state_dict().items()}
    shapes = {name: value.shape for name, value in state.items()}
    for name, value in weights(graphs["full"].read_bytes(), shapes).items():
        assert np.array_equal(value, state[name]), name
    for name, value in weights(graphs["int8"].read_bytes(), shapes).items():
        # Two neighbours together may take all of the 127 steps.
        step = 2 * np.abs(state[name]).max() / 127
        assert np.abs(value - state[name]).max() <= step / 2 + 1e-6, name


def test_no_product_can_overflow_sixteen_bits(graphs):
    """Without VNNI two products of unsigned by signed bytes are added in 16 bits."""
    tensors = {each.name: each for each in onnx.load(str(graphs["int8"])).graph.initializer}
    products = [
        node
        for node in onnx.load(str(graphs["int8"])).graph.node
        if node.op_type == "MatMulIntegerToFloat"
    ]
    assert len(products) >= 2 * 6
    for node in products:
        weight = numpy_helper.to_array(tensors[node.input[1]]).astype(int)
        for sign in (1, -1):
            pairs = np.maximum(sign * weight, 0).reshape(-1, 2, weight.shape[1]).sum(1)
            assert 100 * 255 < 255 * pairs.max() < 2**15
