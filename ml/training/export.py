"""From a trained model to the files of a checkpoint.

Two graphs leave: ``encoder.onnx`` with int8 weights, and ``heads.onnx`` in fp32, which is
small. The fp32 encoder stays in the run's folder, to measure what int8 costs.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import Tensor, nn

from ml.emotion.checkpoint import CONFIG, ENCODER, HEADS, TOKENIZER, digest
from ml.emotion.model import EmotionModel, Encoder, ModelConfig, no_context
from ml.taxonomy import SUB_EMOTIONS
from ml.text.features import FEATURES_VERSION
from ml.training.batches import load_tokenizer
from ml.training.options import TrainOptions

log = logging.getLogger(__name__)

_OPSET = 18
_MAX_TOKENS = 128
_LOCAL = {"data", "output", "base_model", "threads", "version"}
_UNCALIBRATED = {"sub": 1.0, "base": 1.0, "intensity": 1.0}
_UNTUNED = dict.fromkeys(SUB_EMOTIONS, 0.5)


def export(model: EmotionModel, tokenizer: Path, folder: Path) -> Path:
    """Write both graphs and the tokenizer into ``folder``; return the fp32 encoder's path."""
    model.eval()
    folder.mkdir(parents=True, exist_ok=True)
    full = folder.parent / "encoder-fp32.onnx"
    _export_encoder(model.encoder, full)
    quantise(full, folder / ENCODER)
    _export_heads(model, folder / HEADS)
    load_tokenizer(tokenizer).save(str(folder / TOKENIZER), pretty=False)
    sizes = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
    log.info("exported %s", sizes)
    return full


def quantise(full: Path, target: Path) -> None:
    """Write ``full`` with int8 weights, one scale a channel, activations quantised as they come.

    Weights use 7 bits of the 8: processors without VNNI add products in 16 bits, and those
    would overflow.
    """
    prepared = full.with_name("prepared.onnx")
    quant_pre_process(str(full), str(prepared), skip_symbolic_shape=True)
    quantize_dynamic(
        str(prepared), str(target), weight_type=QuantType.QInt8, per_channel=True, reduce_range=True
    )
    prepared.unlink()


def _export_encoder(encoder: Encoder, path: Path) -> None:
    ids = torch.randint(encoder.deberta.config.vocab_size, (3, 11))
    mask = torch.ones_like(ids)
    mask[1, 7:] = 0
    _write(encoder, (ids, mask), ["input_ids", "attention_mask"], ["pooled"], ["n", "t"], path)


def _export_heads(model: EmotionModel, path: Path) -> None:
    pooled = torch.randn(3, model.config.hidden)
    inputs = (pooled, *no_context(pooled, model.config), torch.rand(3, model.config.features))
    names = ["pooled", "context", "context_mask", "features"]
    _write(model.heads, inputs, names, ["sub", "base", "intensity"], ["n"], path)


def _write(
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    names: Sequence[str],
    outputs: Sequence[str],
    dynamic: Sequence[str],
    path: Path,
) -> None:
    """Export ``module``; the first ``len(dynamic)`` axes of every tensor are free."""
    axes = dict(enumerate(dynamic))
    torch.onnx.export(
        module.eval(),
        inputs,
        str(path),
        input_names=list(names),
        output_names=list(outputs),
        dynamic_axes=dict.fromkeys(names, axes) | {name: {0: "n"} for name in outputs},
        opset_version=_OPSET,
        dynamo=False,
    )
    onnx.checker.check_model(str(path))


def write_config(
    folder: Path,
    options: TrainOptions,
    shape: ModelConfig,
    temperatures: Mapping[str, float] = _UNCALIBRATED,
    thresholds: Mapping[str, float] = _UNTUNED,
) -> None:
    """Write ``config.json`` with the digests of the files that lie in ``folder``."""
    kept = {name: value for name, value in asdict(options).items() if name not in _LOCAL}
    config = {
        "name": "emotion-clf-deberta",
        "version": options.version,
        "features_version": FEATURES_VERSION,
        "max_tokens": _MAX_TOKENS,
        "context_radius": shape.context_radius,
        "temperatures": {name: round(value, 4) for name, value in temperatures.items()},
        "thresholds": {name: round(value, 4) for name, value in thresholds.items()},
        "files": {n: digest((folder / n).read_bytes()) for n in (ENCODER, HEADS, TOKENIZER)},
        "training": {"start": "all-MiniLM-L6-v2", "options": kept, "shape": asdict(shape)},
    }
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n")
