"""A small hand for writing ONNX graphs: operators are called, names are found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

CONTRIB = "com.microsoft"
"""The domain of ONNX Runtime's own operators."""
OPSET = 18


class GraphBuilder:
    """Collects nodes and initialisers; a tensor is known by its name."""

    def __init__(self, prefix: str) -> None:
        """``prefix`` begins the name of each node and each nameless tensor."""
        self.nodes: list[NodeProto] = []
        self.initialisers: list[TensorProto] = []
        self._prefix = prefix
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._count = 0

    def named(self, name: str, values: NDArray[Any]) -> str:
        """Add an initialiser under a name of its own; return the name."""
        self.initialisers.append(numpy_helper.from_array(values.copy(order="C"), name))
        return name

    def constant(self, values: ArrayLike, dtype: Any = np.float32) -> str:
        """Return the name of an initialiser with these values; equal ones are kept once."""
        array = np.asarray(values, dtype)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = self.named(self._fresh("constant"), array)
        return self._constants[key]

    def indices(self, *values: int) -> str:
        """Return the name of a vector of integers."""
        return self.constant(values, np.int64)

    def index(self, value: int) -> str:
        """Return the name of a single integer."""
        return self.constant(value, np.int64)

    def add(
        self,
        operator: str,
        *inputs: str,
        domain: str = "",
        output: str | None = None,
        **attributes: Any,
    ) -> str:
        """Add a node with one output; return the output's name."""
        name = output or self._fresh(operator)
        node = helper.make_node(
            operator, list(inputs), [name], name=f"{name}/node", domain=domain, **attributes
        )
        self.nodes.append(node)
        return name

    def fused(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node of one of ONNX Runtime's own operators."""
        return self.add(operator, *inputs, domain=CONTRIB, **attributes)

    def _fresh(self, word: str) -> str:
        self._count += 1
        return f"{self._prefix}/{word}_{self._count}"


def model_of(
    nodes: Iterable[NodeProto],
    initialisers: Iterable[TensorProto],
    inputs: Sequence[ValueInfoProto],
    outputs: Sequence[ValueInfoProto],
) -> ModelProto:
    """Return a model that may use ONNX Runtime's own operators."""
    graph = helper.make_graph(list(nodes), "encoder", inputs, outputs, list(initialisers))
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)
