"""From a trained model to the files of a checkpoint.

Two graphs leave: ``encoder.onnx`` with int8 weights, and ``heads.onnx`` in fp32, which is
small. The fp32 encoder stays in the run's folder, to measure what int8 costs.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import onnx
import torch

from ml.emotion.checkpoint import CONFIG, ENCODER, HEADS, TERMS, TOKENIZER, digest
from ml.emotion.inputs import TERM_WIDTH
from ml.emotion.model import EmotionModel, Given, no_context
from ml.taxonomy import SUB_EMOTIONS
from ml.text.features import FEATURES_VERSION
from ml.text.terms import TermWeights
from ml.training.encoder_graph import export_encoder, quantise
from ml.training.graph_builder import OPSET
from ml.training.options import TrainOptions
from ml.training.start import Start

log = logging.getLogger(__name__)

_MAX_TOKENS = 128
_LOCAL = {"data", "output", "threads", "version"}
_DESCRIBED = (ENCODER, HEADS, TOKENIZER, TERMS)
_UNCALIBRATED = {"sub": 1.0, "base": 1.0, "intensity": 1.0}
_UNTUNED = dict.fromkeys(SUB_EMOTIONS, 0.5)
_DIGITS = 4


def export(model: EmotionModel, start: Start, terms: TermWeights, folder: Path) -> Path:
    """Write graphs, tokenizer and vocabulary into ``folder``; return the fp32 encoder's path."""
    model.eval()
    folder.mkdir(parents=True, exist_ok=True)
    full = folder.parent / "encoder-fp32.onnx"
    export_encoder(model.encoder, full)
    quantise(full, folder / ENCODER)
    _export_heads(model, folder / HEADS)
    start.tokenizer.save(str(folder / TOKENIZER), pretty=False)
    (folder / TERMS).write_text(terms.to_json())
    sizes = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
    log.info("exported %s", sizes)
    return full


def _export_heads(model: EmotionModel, path: Path) -> None:
    pooled = torch.randn(3, model.config.hidden)
    given = Given(
        torch.rand(3, model.config.features),
        torch.zeros(3, TERM_WIDTH, dtype=torch.int64),
        torch.zeros(3, TERM_WIDTH),
    )
    names = ["pooled", "context", "context_mask", *Given._fields]
    outputs = ["sub", "base", "intensity"]
    torch.onnx.export(
        model.heads.eval(),
        (pooled, *no_context(pooled, model.config), *given),
        str(path),
        input_names=names,
        output_names=outputs,
        dynamic_axes={name: {0: "n"} for name in (*names, *outputs)},
        opset_version=OPSET,
        dynamo=False,
    )
    onnx.checker.check_model(str(path))


def write_config(
    folder: Path,
    options: TrainOptions,
    model: EmotionModel,
    start: Start,
    temperatures: Mapping[str, float] = _UNCALIBRATED,
    thresholds: Mapping[str, float] = _UNTUNED,
) -> None:
    """Write ``config.json`` with the digests of the files that lie in ``folder``."""
    kept = {name: value for name, value in asdict(options).items() if name not in _LOCAL}
    kept |= {name: kept[name] and Path(kept[name]).name for name in ("backbone", "teacher")}
    shape = asdict(model.config)
    config = {
        "name": "emotion-clf-deberta",
        "version": options.version,
        "features_version": FEATURES_VERSION,
        "max_tokens": _MAX_TOKENS,
        "context_radius": model.config.context_radius,
        "backbone": shape.pop("backbone"),
        "temperatures": _rounded(temperatures),
        "thresholds": _rounded(thresholds),
        "files": {name: digest((folder / name).read_bytes()) for name in _DESCRIBED},
        "training": {"start": start.name, "options": kept, "shape": shape},
    }
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n")


def _rounded(numbers: Mapping[str, float]) -> dict[str, float]:
    """Return ``numbers`` as ``config.json`` holds them; a checkpoint refuses those that are 0."""
    return {name: max(round(value, _DIGITS), 10**-_DIGITS) for name, value in numbers.items()}
