"""The GPU runtime, on the CPU: its answers, its batches, and what it does without memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the GPU runtime needs torch: pip install 'emotion-clf[gpu]'")
pytest.importorskip("transformers", reason="the GPU runtime needs transformers")
pytest.importorskip("onnx", reason="the GPU runtime needs onnx")

import onnx
import torch
from tokenizers import Tokenizer, models, pre_tokenizers

from ml.emotion.checkpoint import ENCODER, Checkpoint
from ml.emotion.dequantise import weights
from ml.emotion.gpu import TorchRuntime
from ml.emotion.inputs import TERM_WIDTH, Vectors
from ml.emotion.model import EmotionModel, Encoder, ModelConfig, deberta, no_context
from ml.emotion.probabilities import Logits
from ml.errors import Cancelled, ModelUnavailable
from ml.taxonomy import SUB_EMOTIONS
from ml.training.encoder_graph import export_encoder, quantise

pytestmark = pytest.mark.train

WORDS = [f"w{number}" for number in range(1_200)]
CONFIG = ModelConfig(
    backbone=deberta(vocab_size=1_200, hidden=32, layers=2, attention_heads=4, intermediate=64),
    features=5,
    terms=10,
)


@pytest.fixture(scope="module")
def model() -> EmotionModel:
    torch.manual_seed(0)
    model = EmotionModel(CONFIG).eval()
    with torch.no_grad():
        # Fresh biases are all zero, and would hide that one was taken for another.
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return model


@pytest.fixture(scope="module")
def checkpoint(model: EmotionModel, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    folder = tmp_path_factory.mktemp("checkpoint")
    export_encoder(model.encoder, folder / "full.onnx")
    quantise(folder / "full.onnx", folder / ENCODER)
    return Checkpoint(
        name="tiny",
        version="0",
        encoder=(folder / ENCODER).read_bytes(),
        heads=exported_heads(model, folder),
        tokenizer=tokenizer().to_str(),
        terms="",
        backbone=CONFIG.backbone,
        thresholds=dict.fromkeys(SUB_EMOTIONS, 0.5),
        temperatures=dict.fromkeys(("sub", "base", "intensity"), 1.0),
        max_tokens=128,
        context_radius=CONFIG.context_radius,
    )


@pytest.fixture
def runtime(checkpoint: Checkpoint) -> TorchRuntime:
    return TorchRuntime(checkpoint, threads=1, device="cpu")


def exported_heads(model: EmotionModel, folder: Path) -> bytes:
    pooled = torch.randn(3, CONFIG.hidden)
    terms = torch.zeros(3, TERM_WIDTH, dtype=torch.long), torch.zeros(3, TERM_WIDTH)
    names = ["pooled", "context", "context_mask", "features", "term_ids", "term_weights"]
    outputs = ["sub", "base", "intensity"]
    torch.onnx.export(
        model.heads,
        (pooled, *no_context(pooled, CONFIG), torch.zeros(3, CONFIG.features), *terms),
        str(folder / "heads.onnx"),
        input_names=names,
        output_names=outputs,
        dynamic_axes={name: {0: "n"} for name in (*names, *outputs)},
        opset_version=18,
        dynamo=False,
    )
    return (folder / "heads.onnx").read_bytes()


def tokenizer() -> Tokenizer:
    made = Tokenizer(models.WordLevel({word: n for n, word in enumerate(WORDS)}, unk_token="w0"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return made


def texts(count: int) -> list[str]:
    generator = np.random.default_rng(0)
    return [" ".join(generator.choice(WORDS, generator.integers(1, 40))) for _ in range(count)]


def alone(model: EmotionModel, text: str) -> np.ndarray:
    ids = torch.tensor([tokenizer().encode(text).ids])
    with torch.no_grad():
        return model.encoder(ids, torch.ones_like(ids)).numpy()[0]


def test_the_weights_come_back_within_half_a_step(model, checkpoint) -> None:
    state = {name: value.numpy() for name, value in model.encoder.state_dict().items()}
    found = weights(checkpoint.encoder, {name: value.shape for name, value in state.items()})
    assert found.keys() == state.keys()
    for name, value in state.items():
        # Two neighbours together may take all of the 127 steps.
        assert np.abs(found[name] - value).max() <= np.abs(value).max() / 126 + 1e-6, name
    changed = [name for name in state if not np.array_equal(found[name], state[name])]
    # The words' embeddings, and six linear layers in each of two layers.
    assert len(changed) == 1 + 6 * 2


def test_a_weight_that_is_not_there_is_named(checkpoint) -> None:
    with pytest.raises(ModelUnavailable, match=r"backbone\.pooler\.weight"):
        weights(checkpoint.encoder, {"backbone.pooler.weight": (2, 2)})
    name = "backbone.embeddings.LayerNorm.weight"
    with pytest.raises(ModelUnavailable, match=name):
        weights(checkpoint.encoder, {name: (31,)})
    with pytest.raises(ModelUnavailable, match="cannot be read"):
        weights(b"rubbish", {})


def test_a_weight_without_its_scale_is_named(checkpoint) -> None:
    name = "backbone.encoder.layer.0.output.dense.weight"
    graph = onnx.load_model_from_string(checkpoint.encoder)
    (scale,) = (each for each in graph.graph.initializer if each.name == f"{name}_scale")
    scale.name = "lost"
    with pytest.raises(ModelUnavailable, match=name):
        weights(graph.SerializeToString(), {name: (32, 64)})


def test_torch_gives_the_answers_of_onnx_runtime(runtime, checkpoint) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(checkpoint.encoder, providers=["CPUExecutionProvider"])
    given = texts(20)
    expected = []
    for text in given:
        ids = np.array([tokenizer().encode(text).ids])
        inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        wanted = {each.name: inputs[each.name] for each in session.get_inputs()}
        expected.append(session.run(None, wanted)[0][0])
    assert runtime.encode(given) == pytest.approx(np.array(expected), abs=2e-2)


def test_the_order_is_the_callers_and_company_does_not_matter(runtime) -> None:
    given = [*texts(50), "w1 w2", "w3", "w1 w2"]
    together = runtime.encode(given)
    assert together.shape == (53, CONFIG.hidden)
    assert together.dtype == np.float32
    assert np.array_equal(together[-1], together[-3])
    for text, vector in zip(given, together, strict=True):
        assert vector == pytest.approx(runtime.encode([text])[0], abs=1e-5)
    assert runtime.encode([]).shape == (0, CONFIG.hidden)


NO_MEMORY = torch.OutOfMemoryError("CUDA out of memory.")
CUBLAS = RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")
ACCELERATOR = RuntimeError("CUDA error: out of memory")


class Memory:
    """Lets the encoder run so many tokens at once, and no more."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, tokens: int, error: RuntimeError = NO_MEMORY
    ) -> None:
        self.sizes: list[int] = []
        self._tokens = tokens
        states = Encoder.states

        def limited(encoder: Encoder, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            self.sizes.append(ids.numel())
            if ids.numel() > self._tokens:
                raise error
            return states(encoder, ids, mask)

        monkeypatch.setattr(Encoder, "states", limited)

    @property
    def refused(self) -> int:
        return sum(size > self._tokens for size in self.sizes)


def test_batches_hold_so_many_tokens_and_little_padding(runtime, monkeypatch) -> None:
    memory = Memory(monkeypatch, 10**9)
    runtime.tokens = 500
    given = texts(400)
    runtime.encode(given)
    assert all(size <= 500 for size in memory.sizes)
    real = sum(len(set_.split()) for set_ in given)
    assert sum(memory.sizes) < 1.15 * real


@pytest.mark.parametrize("error", [NO_MEMORY, CUBLAS, ACCELERATOR])
def test_without_memory_batches_are_halved_and_it_is_remembered(
    runtime, monkeypatch, error
) -> None:
    given = texts(200)
    expected = runtime.encode(given)
    memory = Memory(monkeypatch, 300, error)
    assert runtime.encode(given) == pytest.approx(expected, abs=1e-5)
    assert 1 <= memory.refused <= 6
    assert 150 <= runtime.tokens <= 300
    refused = memory.refused
    runtime.encode(given)
    assert memory.refused == refused


def test_other_errors_are_not_taken_for_a_lack_of_memory(runtime, monkeypatch) -> None:
    Memory(monkeypatch, 300, RuntimeError("CUDA error: an illegal memory access"))
    with pytest.raises(RuntimeError, match="illegal"):
        runtime.encode(texts(200))


def test_a_single_sentence_that_does_not_fit_is_an_error(runtime, monkeypatch) -> None:
    Memory(monkeypatch, 20)
    assert runtime.encode(["w1 w2 w3", "w4"] * 3).shape == (6, CONFIG.hidden)
    with pytest.raises(ModelUnavailable, match="too little free memory") as caught:
        runtime.encode([" ".join(WORDS[:30]), "w1"])
    assert "classification.device" in str(caught.value)


def test_long_texts_are_cut(runtime, monkeypatch) -> None:
    memory = Memory(monkeypatch, 10**9)
    runtime.encode([" ".join(WORDS)])
    assert memory.sizes == [128]


def test_should_stop_is_asked_before_each_batch(runtime) -> None:
    calls: Iterator[int] = iter(range(10))

    def stop() -> None:
        if next(calls) == 3:
            raise Cancelled

    runtime.tokens = 100
    with pytest.raises(Cancelled):
        runtime.encode(texts(200), should_stop=stop)
    assert next(calls) == 4


@pytest.mark.parametrize("in_order", [False, True])
def test_the_heads_are_the_models(runtime, model, in_order) -> None:
    generator = np.random.default_rng(1)
    pooled = generator.normal(size=(5, CONFIG.hidden)).astype(np.float32)
    vectors = Vectors(
        generator.random((5, CONFIG.features)).astype(np.float32),
        generator.integers(0, 11, (5, TERM_WIDTH)),
        generator.random((5, TERM_WIDTH)).astype(np.float32),
    )
    found = runtime.logits(pooled, vectors, in_order=in_order)
    expected = as_torch(model, pooled, vectors, in_order)
    for one, two in zip(found, expected, strict=True):
        assert one == pytest.approx(two, abs=1e-4)


def as_torch(model: EmotionModel, pooled: np.ndarray, vectors: Vectors, in_order: bool) -> Logits:
    from ml.emotion.context import neighbours

    rows, mask = neighbours(len(pooled), CONFIG.context_radius)
    mask = mask * in_order
    inputs = (pooled, pooled[rows] * mask[:, :, None], mask, *vectors)
    with torch.no_grad():
        return Logits(*(each.numpy() for each in model.heads(*map(torch.from_numpy, inputs))))
