"""What a checkpoint's config.json says."""

from types import SimpleNamespace

import pytest

pytest.importorskip("torch", reason="training needs torch: pip install 'emotion-clf[train]'")
pytest.importorskip("transformers", reason="training needs transformers")
pytest.importorskip("onnx", reason="export needs onnx")

from ml.emotion.checkpoint import ENCODER, HEADS, TERMS, TOKENIZER, Checkpoint
from ml.emotion.model import ModelConfig, deberta
from ml.taxonomy import SUB_EMOTIONS
from ml.training.export import write_config
from ml.training.options import TrainOptions

pytestmark = pytest.mark.train

CONFIG = ModelConfig(
    deberta(vocab_size=8, hidden=8, layers=1, attention_heads=2, intermediate=8), features=3
)


def test_what_calibration_found_is_what_is_read(tmp_path):
    for name in (ENCODER, HEADS, TOKENIZER, TERMS):
        (tmp_path / name).write_bytes(name.encode())
    temperatures = {"sub": 0.9, "base": 1.1, "base_from_sub": 2.0, "intensity": 1.23456}
    # What a label that is hardly ever probable is given.
    thresholds = dict.fromkeys(SUB_EMOTIONS, 0.25) | {"grief": 1e-6}
    write_config(
        tmp_path,
        TrainOptions(tmp_path, tmp_path),
        SimpleNamespace(config=CONFIG),
        SimpleNamespace(name="nothing"),
        temperatures,
        thresholds,
    )
    found = Checkpoint.load(tmp_path)
    assert found.temperatures == pytest.approx(temperatures, abs=1e-4)
    assert found.thresholds == pytest.approx(thresholds, abs=1e-4)
    assert found.backbone == CONFIG.backbone
