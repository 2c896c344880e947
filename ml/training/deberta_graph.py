"""DeBERTa-v3's encoder as a lean ONNX graph, for sentences of one length at a time.

It computes what :class:`transformers.DebertaV2Model` does, to rounding, with less to do:

* All sentences of a batch have the same number of tokens, so there is no attention mask.
* The keys and queries of the relative positions depend on weights alone and are constants.
* Only distances that occur in sentences of the batch's length are multiplied out.
* Tokens are laid out position by position: row ``p * n + s`` is token ``p`` of sentence ``s``.
  What belongs to a pair of positions then lies together for all sentences, so the scores of
  the positions are looked up in blocks of ``n``; and the attention's products find queries,
  keys and values in place, without a transposed copy.

Initialisers are named after the entries of ``Encoder.state_dict()``, see
:mod:`ml.emotion.dequantise`. Source: He et al. 2021, https://arxiv.org/abs/2111.09543, and
transformers' ``modeling_deberta_v2.py``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper
from transformers import DebertaV2Config, DebertaV2Model
from transformers.models.deberta_v2.modeling_deberta_v2 import make_log_bucket_position

from ml.training.graph_builder import GraphBuilder, model_of

Floats = NDArray[np.float32]

_PREFIX = "backbone"
_DISTANCES = ("encoder.rel_embeddings.weight", "encoder.LayerNorm.weight", "encoder.LayerNorm.bias")
"""Folded into constants; kept for those who read the weights back."""


def is_lean(backbone: torch.nn.Module) -> bool:
    """Say whether :func:`deberta_graph` knows all that this encoder does."""
    config = backbone.config
    return (
        isinstance(backbone, DebertaV2Model)
        and bool(config.relative_attention)
        and bool(getattr(config, "share_att_key", False))
        and set(config.pos_att_type) == {"c2p", "p2c"}
        and getattr(config, "norm_rel_ebd", "none") == "layer_norm"
        and config.position_buckets > 0
        and not config.type_vocab_size
        and not getattr(config, "conv_kernel_size", 0)
        and getattr(config, "embedding_size", config.hidden_size) == config.hidden_size
        and config.hidden_act == "gelu"
    )


def deberta_graph(backbone: DebertaV2Model) -> ModelProto:
    """Return the fp32 graph from ``input_ids`` ``(n, t)`` to ``pooled`` ``(n, hidden)``.

    ``pooled`` is the mean over the states of all tokens.
    """
    return _DebertaGraph(backbone).model()


@dataclass(frozen=True, slots=True)
class _Shapes:
    """Names of what follows from the shape of the input."""

    flat_positions: str
    """``(3,)``: heads, distances times tokens, sentences."""
    scores: str
    """``(4,)``: sentences, heads, tokens, tokens."""
    states: str
    """``(4,)``: tokens, sentences, heads, depth."""
    tokens: str
    """``(3,)``: tokens, sentences, width."""
    first: str
    """The first row of the distances that occur."""
    last: str
    """The row after the last of them."""
    of_query: str
    """For each pair of tokens, where the query's score for their distance lies."""
    of_key: str
    """The same for the key's."""


class _DebertaGraph:
    def __init__(self, backbone: DebertaV2Model) -> None:
        self._config: DebertaV2Config = backbone.config
        self._weights: Mapping[str, Floats] = {
            name: value.detach().float().cpu().numpy()
            for name, value in backbone.state_dict().items()
        }
        self._heads = int(self._config.num_attention_heads)
        self._width = int(self._config.hidden_size)
        self._graph = GraphBuilder("encoder")
        with torch.no_grad():
            self._distances: Floats = backbone.encoder.get_rel_embedding().float().cpu().numpy()

    def model(self) -> ModelProto:
        graph = self._graph
        shapes = self._shapes()
        states = self._embedded()
        for layer in range(self._config.num_hidden_layers):
            states = self._layer(f"encoder.layer.{layer}", states, shapes)
        states = graph.add("Reshape", states, shapes.tokens)
        graph.add("ReduceMean", states, graph.indices(0), keepdims=0, output="pooled")
        for name in _DISTANCES:
            self._weight(name)
        return model_of(
            graph.nodes,
            graph.initialisers,
            [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["n", "t"])],
            [helper.make_tensor_value_info("pooled", TensorProto.FLOAT, ["n", self._width])],
        )

    def _shapes(self) -> _Shapes:
        graph = self._graph
        shape = graph.add("Shape", "input_ids")
        n = graph.add("Gather", shape, graph.indices(0))
        t = graph.add("Gather", shape, graph.indices(1))
        rows, first, last = self._distance_rows(graph.add("Squeeze", t))
        positions = graph.add("Range", graph.index(0), graph.add("Squeeze", t), graph.index(1))
        # Row r of the distances and token p share the place r * t + p.
        starts = graph.add("Mul", graph.add("Sub", rows, first), t)
        places = []
        for axis in (1, 0):
            own = graph.add("Unsqueeze", positions, graph.indices(axis))
            place = graph.add("Add", starts, own)
            places.append(graph.add("Reshape", place, graph.indices(-1)))
        count = graph.add("Mul", graph.add("Sub", last, first), t)
        heads, depth = graph.indices(self._heads), graph.indices(self._width // self._heads)
        return _Shapes(
            flat_positions=graph.add("Concat", heads, count, n, axis=0),
            scores=graph.add("Concat", n, heads, t, t, axis=0),
            states=graph.add("Concat", t, n, heads, depth, axis=0),
            tokens=graph.add("Concat", t, n, graph.indices(self._width), axis=0),
            first=first,
            last=last,
            of_query=places[0],
            of_key=places[1],
        )

    def _distance_rows(self, t: str) -> tuple[str, str, str]:
        """Return each pair's row of the distances ``(t, t)``, the first row and the one after."""
        graph = self._graph
        table = self._rows_by_distance()
        longest = len(table) // 2
        positions = graph.add("Range", graph.index(0), t, graph.index(1))
        query, key = (graph.add("Unsqueeze", positions, graph.indices(axis)) for axis in (1, 0))
        distance = graph.add("Sub", query, key)
        distance = graph.add("Clip", distance, graph.index(-longest), graph.index(longest))
        place = graph.add("Add", distance, graph.index(longest))
        rows = graph.add("Gather", graph.constant(table, np.int64), place)
        first, last = (
            graph.add("Reshape", graph.add(each, rows, keepdims=0), graph.indices(1))
            for each in ("ReduceMin", "ReduceMax")
        )
        return rows, first, graph.add("Add", last, graph.indices(1))

    def _rows_by_distance(self) -> NDArray[np.int64]:
        """Return the row of the distance embeddings for each distance, negative ones first."""
        config = self._config
        longest = config.max_position_embeddings
        if getattr(config, "max_relative_positions", -1) > 0:
            longest = config.max_relative_positions
        buckets = config.position_buckets
        distances = torch.arange(-longest, longest + 1)
        found = make_log_bucket_position(distances, buckets, longest).long() + buckets
        rows: NDArray[np.int64] = found.clamp(0, 2 * buckets - 1).numpy()
        return rows

    def _embedded(self) -> str:
        graph = self._graph
        # Position by position from here on.
        ids = graph.add("Transpose", "input_ids", perm=[1, 0])
        words = graph.add("Gather", self._weight("embeddings.word_embeddings.weight"), ids)
        if self._config.position_biased_input:
            words = graph.add("Add", words, self._position_vectors(ids))
        words = graph.add("Reshape", words, graph.indices(-1, self._width))
        return self._normalised(words, "embeddings.LayerNorm")

    def _position_vectors(self, ids: str) -> str:
        """Return a vector for each position in use, ``(t, 1, width)``."""
        graph = self._graph
        table = self._weight("embeddings.position_embeddings.weight")
        count = graph.add("Shape", ids, start=0, end=1)
        used = graph.add("Slice", table, graph.indices(0), count, graph.indices(0))
        return graph.add("Unsqueeze", used, graph.indices(1))

    def _layer(self, layer: str, states: str, shapes: _Shapes) -> str:
        graph = self._graph
        context = self._attention(f"{layer}.attention.self", states, shapes)
        states = self._joined(f"{layer}.attention.output", context, states)
        bias = self._weight(f"{layer}.intermediate.dense.bias")
        inner = graph.fused("BiasGelu", self._product(f"{layer}.intermediate.dense", states), bias)
        return self._joined(f"{layer}.output", inner, states)

    def _joined(self, name: str, value: str, residual: str) -> str:
        """Return the end of a block: a linear layer, the residual, the normalisation."""
        summed = self._graph.add("Add", self._linear(f"{name}.dense", value), residual)
        return self._normalised(summed, f"{name}.LayerNorm")

    def _attention(self, name: str, states: str, shapes: _Shapes) -> str:
        """Return what the heads of one layer see, ``(t * n, width)``."""
        graph = self._graph
        query, key, value = (
            self._linear(f"{name}.{each}_proj", states) for each in ("query", "key", "value")
        )
        by_query = self._position_scores(query, f"{name}.key_proj", shapes, shapes.of_query)
        by_key = self._position_scores(key, f"{name}.query_proj", shapes, shapes.of_key)
        positions = graph.add("Transpose", graph.add("Add", by_query, by_key), perm=[2, 0, 1])
        positions = graph.add("Reshape", positions, shapes.scores)
        query, key, value = (
            graph.add("Reshape", each, shapes.states) for each in (query, key, value)
        )
        scores = graph.fused(
            "FusedMatMul", query, key, alpha=self._scale, transBatchA=1, transBatchB=1, transB=1
        )
        shares = graph.add("Softmax", graph.add("Add", scores, positions), axis=-1)
        seen = graph.fused("FusedMatMul", shares, value, transBatchB=1)
        seen = graph.add("Transpose", seen, perm=[2, 0, 1, 3])
        return graph.add("Reshape", seen, graph.indices(-1, self._width))

    def _position_scores(self, states: str, projection: str, shapes: _Shapes, places: str) -> str:
        """Return ``states`` times the projected distance of each pair, ``(heads, t * t, n)``."""
        graph = self._graph
        weight = self._weights[f"{projection}.weight"]
        projected = self._distances @ weight.T + self._weights[f"{projection}.bias"]
        depth = self._width // self._heads
        # Rows, heads, depth.
        constant = graph.constant(projected.reshape(-1, self._heads, depth))
        rows = graph.add("Slice", constant, shapes.first, shapes.last, graph.indices(0))
        by_head = graph.add("Reshape", states, graph.indices(-1, self._heads, depth))
        scores = graph.fused(
            "FusedMatMul", rows, by_head, alpha=self._scale, transBatchA=1, transBatchB=1, transB=1
        )
        scores = graph.add("Reshape", scores, shapes.flat_positions)
        return graph.add("Gather", scores, places, axis=1)

    @property
    def _scale(self) -> float:
        """Three scores are summed: of contents, and of content and distance in both ways."""
        return 1 / math.sqrt(3 * self._width // self._heads)

    def _linear(self, name: str, value: str) -> str:
        return self._graph.add("Add", self._product(name, value), self._weight(f"{name}.bias"))

    def _product(self, name: str, value: str) -> str:
        return self._graph.add("MatMul", value, self._weight(f"{name}.weight", transposed=True))

    def _normalised(self, value: str, name: str) -> str:
        weight, bias = (self._weight(f"{name}.{each}") for each in ("weight", "bias"))
        epsilon = float(self._config.layer_norm_eps)
        return self._graph.add("LayerNormalization", value, weight, bias, axis=-1, epsilon=epsilon)

    def _weight(self, name: str, *, transposed: bool = False) -> str:
        values: NDArray[Any] = self._weights[name]
        return self._graph.named(f"{_PREFIX}.{name}", values.T if transposed else values)
