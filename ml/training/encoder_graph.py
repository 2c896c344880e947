"""The encoder as an ONNX graph: in fp32, and from that in int8.

DeBERTa-v3 gets a graph of its own (:mod:`ml.training.deberta_graph`), which takes sentences
of one length at a time and no mask; any other encoder is traced by torch. Initialisers are
named after the entries of ``Encoder.state_dict()`` either way.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from ml.emotion.model import Encoder
from ml.training.deberta_graph import deberta_graph, is_lean
from ml.training.graph_builder import OPSET
from ml.training.row_quantisation import quantise

__all__ = ["export_encoder", "quantise"]


def export_encoder(encoder: Encoder, path: Path) -> None:
    """Write the graph from ``input_ids`` ``(n, t)`` to ``pooled`` ``(n, hidden)``, in fp32.

    A traced graph takes ``attention_mask`` ``(n, t)`` as well.
    """
    encoder.eval()
    if is_lean(encoder.backbone):
        onnx.save(deberta_graph(encoder.backbone), str(path))
    else:
        _trace(encoder, path)
    onnx.checker.check_model(str(path))


def _trace(encoder: Encoder, path: Path) -> None:
    ids = torch.randint(encoder.backbone.config.vocab_size, (3, 11))
    mask = torch.ones_like(ids)
    mask[1, 7:] = 0
    free = {0: "n", 1: "t"}
    torch.onnx.export(
        encoder,
        (ids, mask),
        str(path),
        input_names=["input_ids", "attention_mask"],
        output_names=["pooled"],
        dynamic_axes={"input_ids": free, "attention_mask": free, "pooled": {0: "n"}},
        opset_version=OPSET,
        dynamo=False,
    )
    model = onnx.load(str(path))
    _name_weights(model, {n: v.detach().cpu().numpy() for n, v in encoder.state_dict().items()})
    onnx.save(model, str(path))


def _name_weights(model: onnx.ModelProto, weights: dict[str, NDArray[Any]]) -> None:
    """Give the right operands of products, which tracing transposed, their names back."""
    transposed = {(value.T.shape, value.T.tobytes()): name for name, value in weights.items()}
    renamed = {}
    for tensor in model.graph.initializer:
        if tensor.name in weights or len(tensor.dims) != 2:
            continue
        values = np.asarray(numpy_helper.to_array(tensor))
        name = transposed.get((values.shape, values.tobytes()))
        if name is not None:
            renamed[tensor.name] = tensor.name = name
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = renamed.get(name, name)
