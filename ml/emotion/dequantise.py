"""The encoder's weights, read back from its ONNX graph for torch.

A checkpoint holds the weights once, in ``encoder.onnx``: a second copy for torch would double
its size, and two copies can differ. So the graph names its initialisers after the entries of
``Encoder.state_dict()`` (:class:`ml.emotion.model.Encoder`). The entry ``NAME`` is either

``NAME``
    floating point, or
``NAME_quantized`` with ``NAME_scale`` and, where it is not zero, ``NAME_zero_point``
    int8 or uint8; one scale for the tensor, one for each column, or of the tensor's rank, as
    :mod:`ml.training.row_quantisation` and ONNX Runtime's ``quantize_dynamic`` write them.

Entries that no node reads, because the exporter folded them into constants, stand in the
graph all the same; ONNX Runtime drops them when it loads. The right operand of a matrix
product is the transposed weight of a linear layer, which is how the graph's nodes tell the
two apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ml.errors import ExtraMissing, ModelUnavailable

Floats = NDArray[np.float32]

_PRODUCTS: Final = {"MatMul", "MatMulInteger", "MatMulIntegerToFloat"}
_BETWEEN: Final = {"DequantizeLinear", "Identity"}
"""What may stand between an initialiser and a product."""
_QUANTIZED: Final = "_quantized"


def weights(graph: bytes, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Floats]:
    """Return the weights that ``encoder.onnx`` holds, in fp32.

    ``shapes`` names the wanted entries and the shape of each. What was quantised comes back
    as the numbers that the graph computes with. Raises
    :class:`~ml.errors.ModelUnavailable` that names an entry which is absent or of another
    shape, and :class:`~ml.errors.ExtraMissing` without the package ``onnx``.
    """
    tensors, nodes = _read(graph)
    transposed = _right_operands(nodes)
    found = {}
    for name, shape in shapes.items():
        value = _value(name, tensors, transposed)
        if value is None or value.shape != shape:
            raise ModelUnavailable(
                f"The checkpoint's encoder holds no usable {name}, so torch cannot run it.",
                hint="Use the CPU (classification.device: cpu), or export the checkpoint again.",
            )
        found[name] = value
    return found


def _read(graph: bytes) -> tuple[dict[str, Any], list[Any]]:
    """Return the graph's initialisers by name, and its nodes."""
    try:
        import onnx
        from onnx import numpy_helper
    except ImportError:
        raise ExtraMissing(
            "The GPU runtime reads weights with the package onnx, which is not installed.",
            hint="Install it with pip install 'emotion-clf[gpu]'.",
        ) from None
    try:
        model = onnx.load_model_from_string(graph)
        tensors = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    except Exception as error:  # protobuf's DecodeError has no public home
        raise ModelUnavailable("The checkpoint's encoder cannot be read.") from error
    return tensors, list(model.graph.node)


def _right_operands(nodes: Iterable[Any]) -> set[str]:
    """Return the initialisers that are right operands of matrix products."""
    source = {node.output[0]: node.input[0] for node in nodes if node.op_type in _BETWEEN}
    operands = (node.input[1] for node in nodes if node.op_type in _PRODUCTS)
    return {source.get(name, name) for name in operands}


def _value(name: str, tensors: Mapping[str, Any], transposed: set[str]) -> Floats | None:
    """Return the entry ``name`` in torch's layout, or None where the graph lacks it."""
    # A weight that is read twice may stand in the graph in both forms.
    for stored in (name + _QUANTIZED, name):
        if stored in tensors:
            values = _plain(name, tensors) if stored == name else _scaled(name, tensors)
            if values is None:
                return None
            turned = stored in transposed and values.ndim == 2
            return np.ascontiguousarray(values.T) if turned else values
    return None


def _plain(name: str, tensors: Mapping[str, Any]) -> Floats:
    # A copy, because the package gives arrays that cannot be written to, and torch wants to.
    return np.array(tensors[name], np.float32)


def _scaled(name: str, tensors: Mapping[str, Any]) -> Floats | None:
    """Return ``(quantised - zero point) * scale``, or None where the graph lacks the scale."""
    if f"{name}_scale" not in tensors:
        return None
    whole = np.asarray(tensors[name + _QUANTIZED], np.float32)
    scale = np.asarray(tensors[f"{name}_scale"], np.float32)
    zero = np.asarray(tensors.get(f"{name}_zero_point", 0), np.float32)
    values: Floats = (whole - zero) * scale
    return values
