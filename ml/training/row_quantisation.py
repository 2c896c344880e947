"""An encoder's graph in int8, each row of activations with a scale of its own.

ONNX Runtime's dynamic quantisation gives one scale to all that runs together, so a sentence
would be read differently in different company. Here every token has its own: a row is divided
by its largest magnitude, rounded with one constant scale, multiplied in int8, and multiplied
by its magnitude again. The same is known as per-token quantisation (Yao et al. 2022,
ZeroQuant, https://arxiv.org/abs/2206.01861).

Weights have one scale a column. Processors without VNNI add the products of two neighbouring
rows in 16 bits, which two bytes of full size would overflow. So the scale is chosen for the
largest sum of two such weights of one sign, not for the largest weight: of 8 bits that costs a
third of one, where 7 bits for all weights would cost a whole one.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, helper, numpy_helper

from ml.training.graph_builder import CONTRIB, GraphBuilder

_GELUS: Final = {"BiasGelu", "FastGelu", "Gelu"}
_LIMIT: Final = 127
_VOCABULARY: Final = 1024
"""Tables with fewer rows stay as they are."""
_SMALLEST: Final = 1e-6


class _Grid(NamedTuple):
    """How a row that was divided by its magnitude becomes 8 bits."""

    zero: int
    steps: int
    smallest: float
    """Magnitudes below are taken for this one."""


_SIGNED: Final = _Grid(zero=128, steps=127, smallest=_SMALLEST)
_GELU: Final = _Grid(zero=32, steps=223, smallest=1.2)
"""GELU never falls below -0.17, which in rows with a magnitude of 1.2 is 32 steps below zero."""


def quantise(full: Path, target: Path) -> None:
    """Write the encoder ``full`` to ``target`` with int8 weights, named as before.

    A weight ``NAME`` becomes ``NAME_quantized`` and ``NAME_scale``. What is quantised: the
    right operands of matrix products and the table of word vectors, a row a scale.
    """
    model = onnx.load(str(full))
    _RowQuantiser(model).rewrite()
    onnx.checker.check_model(model)
    onnx.save(model, str(target))


class _RowQuantiser:
    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = model
        self._graph = GraphBuilder("int8")
        self._weights = {each.name: each for each in model.graph.initializer}
        self._gelus = {
            name for node in model.graph.node if node.op_type in _GELUS for name in node.output
        }
        self._rows: dict[str, tuple[str, str]] = {}

    def rewrite(self) -> None:
        """Replace nodes and initialisers of the model."""
        graph = self._model.graph
        for node in graph.node:
            weight = self._quantisable(node)
            if weight is None:
                self._graph.nodes.append(node)
            elif node.op_type == "Gather":
                self._look_up(node, weight)
            else:
                self._multiply(node, weight)
        reads = Counter(name for node in self._graph.nodes for name in node.input)
        before = Counter(name for node in graph.node for name in node.input)
        kept = [each for each in graph.initializer if reads[each.name] or not before[each.name]]
        _replace(graph.node, self._graph.nodes)
        _replace(graph.initializer, [*kept, *self._graph.initialisers])
        if all(opset.domain != CONTRIB for opset in self._model.opset_import):
            self._model.opset_import.append(helper.make_opsetid(CONTRIB, 1))

    def _quantisable(self, node: NodeProto) -> NDArray[np.float32] | None:
        """Return the weight of a matrix product or of a vocabulary, None for other nodes."""
        if node.op_type not in {"MatMul", "Gather"}:
            return None
        name = node.input[1 if node.op_type == "MatMul" else 0]
        if name not in self._weights or len(self._weights[name].dims) != 2:
            return None
        values: NDArray[Any] = numpy_helper.to_array(self._weights[name])
        if values.dtype != np.float32:
            return None
        return values if node.op_type == "MatMul" or len(values) >= _VOCABULARY else None

    def _look_up(self, node: NodeProto, table: NDArray[np.float32]) -> None:
        """Replace the look-up of word vectors, which takes whole rows."""
        graph, (name, ids) = self._graph, node.input
        scale = _scale(np.abs(table).max(axis=1, keepdims=True))
        quantised = np.round(table / scale).astype(np.int8)
        rows = graph.add("Gather", graph.named(f"{name}_quantized", quantised), ids)
        scales = graph.add("Gather", graph.named(f"{name}_scale", scale), ids)
        floats = graph.add("Cast", rows, to=onnx.TensorProto.FLOAT)
        graph.add("Mul", floats, scales, output=node.output[0])

    def _multiply(self, node: NodeProto, weight: NDArray[np.float32]) -> None:
        """Replace the product with a weight."""
        graph, (value, name) = self._graph, node.input
        grid = _GELU if value in self._gelus else _SIGNED
        if value not in self._rows:
            self._rows[value] = self._quantised_rows(value, grid)
        rows, magnitude = self._rows[value]
        scale = _scale(_largest_pairs(weight))
        quantised = np.round(weight / scale).astype(np.int8)
        product = graph.fused(
            "MatMulIntegerToFloat",
            rows,
            graph.named(f"{name}_quantized", quantised),
            graph.constant(1 / grid.steps),
            graph.named(f"{name}_scale", scale),
            graph.constant(grid.zero, np.uint8),
        )
        graph.add("Mul", product, magnitude, output=node.output[0])

    def _quantised_rows(self, value: str, grid: _Grid) -> tuple[str, str]:
        """Return ``value`` in 8 bits, and the magnitude of each row."""
        graph = self._graph
        sizes = value if grid is _GELU else graph.add("Abs", value)
        magnitude = graph.add("ReduceMax", sizes, graph.indices(-1), keepdims=1)
        magnitude = graph.add("Max", magnitude, graph.constant(grid.smallest))
        # To multiply by the reciprocal is several times faster than to divide each number.
        even = graph.add("Mul", value, graph.add("Reciprocal", magnitude))
        step, zero = graph.constant(1 / grid.steps), graph.constant(grid.zero, np.uint8)
        return graph.add("QuantizeLinear", even, step, zero), magnitude


def _largest_pairs(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return each column's largest sum of two neighbours of one sign, ``(columns,)``.

    Neighbours are rows ``2k`` and ``2k + 1``. After rounding their sum is at most 128, and
    ``255 * 128`` is below ``2 ** 15``.
    """
    even = np.pad(weight, ((0, len(weight) % 2), (0, 0)))
    sums = [np.maximum(sign * even, 0).reshape(-1, 2, weight.shape[1]).sum(1) for sign in (1, -1)]
    largest: NDArray[np.float32] = np.maximum(*sums).max(axis=0)
    return largest


def _scale(largest: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return by what is divided so that ``largest`` becomes 127."""
    scale = largest / np.float32(_LIMIT)
    scale[scale == 0] = 1
    return scale


def _replace(field: Any, values: list[Any]) -> None:
    """Set a repeated field of a protobuf message."""
    del field[:]
    field.extend(values)
