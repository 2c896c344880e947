"""Whisper's weights from Python packages as checkpoints for openai-whisper.

Those packages hold them as CTranslate2 keeps them: the same tensors in half precision under other
names, with the projections of one attention stacked. Its file consists of a header, then of each
variable's name, shape, type and bytes, little-endian throughout; the layout is that of
``ctranslate2.specs.model_spec.ModelSpec`` (binary version 6).
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ml.speech.engines.weights import Weights

_TYPES = {0: "<f4", 1: "<i1", 2: "<i2", 3: "<i4", 4: "<f2"}
_BINARY_VERSION = 6
_PLAIN = {
    "encoder/position_encodings/encodings": "encoder.positional_embedding",
    "encoder/layer_norm/gamma": "encoder.ln_post.weight",
    "encoder/layer_norm/beta": "encoder.ln_post.bias",
    "decoder/embeddings/weight": "decoder.token_embedding.weight",
    "decoder/position_encodings/encodings": "decoder.positional_embedding",
    "decoder/layer_norm/gamma": "decoder.ln.weight",
    "decoder/layer_norm/beta": "decoder.ln.bias",
} | {
    f"encoder/{conv}/{kind}": f"encoder.{conv}.{kind}"
    for conv in ("conv1", "conv2")
    for kind in ("weight", "bias")
}
_NORMS = {"self_attention": "attn_ln", "attention": "cross_attn_ln", "ffn": "mlp_ln"}
_STACKED = {
    ("self_attention", "linear_0"): ("attn.query", "attn.key", "attn.value"),
    ("self_attention", "linear_1"): ("attn.out",),
    ("attention", "linear_0"): ("cross_attn.query",),
    ("attention", "linear_1"): ("cross_attn.key", "cross_attn.value"),
    ("attention", "linear_2"): ("cross_attn.out",),
    ("ffn", "linear_0"): ("mlp.0",),
    ("ffn", "linear_1"): ("mlp.2",),
}
"""The linear layers that each matrix of a block consists of, from the first row down."""


def read_ctranslate2(model: bytes) -> dict[str, np.ndarray]:
    """Return the variables of a CTranslate2 ``model.bin`` by name."""
    file = io.BytesIO(model)
    (version,) = _unpack(file, "I")
    assert version == _BINARY_VERSION
    assert _string(file) == "WhisperSpec"
    _, count = _unpack(file, "II")
    return dict(_variable(file) for _ in range(count))


def convert(variables: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the same tensors as ``whisper.model.Whisper`` names them."""
    state: dict[str, np.ndarray] = {}
    for name, value in variables.items():
        if name in _PLAIN:
            state[_PLAIN[name]] = value
        elif "/layer_" in name:
            state |= _block(name, value)
    return state


def dimensions(variables: dict[str, np.ndarray]) -> dict[str, int]:
    """Return what ``whisper.model.ModelDimensions`` takes."""
    audio_state, mels, _ = variables["encoder/conv1/weight"].shape
    vocabulary, text_state = variables["decoder/embeddings/weight"].shape
    return {
        "n_mels": mels,
        "n_audio_ctx": len(variables["encoder/position_encodings/encodings"]),
        "n_audio_state": audio_state,
        "n_audio_head": int(variables["encoder/num_heads"]),
        "n_audio_layer": _layers(variables, "encoder"),
        "n_vocab": vocabulary,
        "n_text_ctx": len(variables["decoder/position_encodings/encodings"]),
        "n_text_state": text_state,
        "n_text_head": int(variables["decoder/num_heads"]),
        "n_text_layer": _layers(variables, "decoder"),
    }


def write_safetensors(weights: Weights, target: Path) -> Path:
    """Write a CTranslate2 Whisper as a checkpoint that openai-whisper can be given."""
    from safetensors.numpy import save_file

    variables = read_ctranslate2(b"".join(part.read_bytes() for part in weights.model))
    dims = dimensions(variables)
    pairs = json.loads((weights.directory / "config.json").read_text())["alignment_heads"]
    heads = np.zeros((dims["n_text_layer"], dims["n_text_head"]), bool)
    heads[tuple(np.transpose(pairs))] = True
    metadata = {
        "dims": json.dumps(dims),
        "alignment_heads": base64.b85encode(gzip.compress(heads.tobytes())).decode(),
    }
    save_file(convert(variables), target, metadata)
    return target


def _block(name: str, value: np.ndarray) -> dict[str, np.ndarray]:
    side, layer, part, *rest, kind = name.split("/")
    block = f"{side}.blocks.{layer.removeprefix('layer_')}"
    if rest == ["layer_norm"]:
        return {f"{block}.{_NORMS[part]}.{'weight' if kind == 'gamma' else 'bias'}": value}
    linears = _STACKED[part, rest[0]]
    return {
        f"{block}.{linear}.{kind}": np.ascontiguousarray(rows)
        for linear, rows in zip(linears, np.split(value, len(linears)), strict=True)
        # Keys have no bias in Whisper; stacked, they were given zeros.
        if not (kind == "bias" and linear.endswith("key"))
    }


def _layers(variables: dict[str, np.ndarray], side: str) -> int:
    return sum(n.startswith(side) and n.endswith("ffn/linear_0/weight") for n in variables)


def _variable(file: BinaryIO) -> tuple[str, np.ndarray]:
    name = _string(file)
    (rank,) = _unpack(file, "B")
    shape = _unpack(file, f"{rank}I")
    kind, size = _unpack(file, "BI")
    return name, np.frombuffer(file.read(size), _TYPES[kind]).reshape(shape)


def _string(file: BinaryIO) -> str:
    (length,) = _unpack(file, "H")
    return file.read(length).rstrip(b"\0").decode()


def _unpack(file: BinaryIO, layout: str) -> tuple[int, ...]:
    return struct.unpack(f"<{layout}", file.read(struct.calcsize(f"<{layout}")))
