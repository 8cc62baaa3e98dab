"""A fixed-point network as hls4ml reads it: a Keras description, its weights, and a precision for every layer.

hls4ml's own reader of Keras files needs no Keras. Rounding and saturation are chosen so that the emitted C++ computes
what :mod:`codesign.emit.integer_reference` does: AP_RND rounds halves up, AP_SAT keeps to the bits, and sums are so
wide that they are exact.
"""

import hashlib
import json
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from codesign.emit.integer_reference import QuantisedLayer, QuantisedNetwork
from cost_models.hls4ml.estimate import RESIDUAL_BITS
from cost_models.hls4ml.stages import reuse_factors, stages, vector_readers
from cost_models.workload import IMAGE, Activation, Layer, Operation
from hw_templates.foundation.arrays import FloatArray
from hw_templates.hls4ml.parameters import Hls4mlAccelerator, IoType

ACCUMULATOR_BITS = 32


@dataclass(frozen=True, eq=False)
class FixedPointNetwork:
    """A network whose scales are powers of two.

    Attributes:
        network: in integers; :func:`codesign.emit.integer_reference.run_integer` says what it computes.
        steps: real value of one step of each map, by the name of its node, and of the image.
        bits: of weights and maps.
    """

    network: QuantisedNetwork
    steps: dict[str, float]
    bits: int

    @cached_property
    def fractions(self) -> dict[str, int]:
        """Bits behind the point of each map, by the name of its node, and of the image."""
        return {name: round(-math.log2(step)) for name, step in self.steps.items()}


def keras_name(node: str) -> str:
    """The name of a node as an identifier of C++."""
    return node.replace(".", "_")


def _fixed(bits: int, fraction: int, *, rounded: bool = True) -> str:
    return f"fixed<{bits},{bits - fraction}{',RND,SAT' if rounded else ''}>"


def _sum_type(fraction: int) -> str:
    return _fixed(ACCUMULATOR_BITS, fraction, rounded=False)


class Hls4mlNetwork:
    """Input of hls4ml.

    Args:
        fixed: the network.
        design: of which hls4ml is to make it.

    Attributes:
        weights: float64, by layer and Keras' name of the variable; exact in fixed point.
        layers: by layer, hls4ml's precision, reuse factor and strategy.

    Raises:
        UnsupportedLayerError: hls4ml cannot convert a layer; names it and says why.
    """

    def __init__(self, fixed: FixedPointNetwork, design: Hls4mlAccelerator) -> None:
        workload = fixed.network.workload
        self._bits, self._fractions, self._io_type = fixed.bits, fixed.fractions, design.io_type
        self._vector_readers = vector_readers(workload)
        self._ends = {IMAGE: IMAGE}
        self._entries: list[dict[str, Any]] = []
        self.weights: dict[str, dict[str, FloatArray]] = {}
        self.layers: dict[str, dict[str, Any]] = {}
        first = workload.nodes[0].layer
        shape = [None, first.in_height, first.in_width, first.in_channels]
        self._append("InputLayer", IMAGE, [], IMAGE, batch_input_shape=shape, dtype="float32")
        factors = reuse_factors(stages(workload, design.io_type), design)
        for layer, factor in zip(fixed.network.layers, factors, strict=True):
            self._add(layer, factor)

    @property
    def model(self) -> dict[str, object]:
        """The Keras description, fit for JSON."""
        ends = {"input_layers": [[IMAGE, 0, 0]], "output_layers": [[list(self._ends.values())[-1], 0, 0]]}
        return {"class_name": "Functional", "config": {"name": "network", "layers": self._entries, **ends}}

    @property
    def digest(self) -> str:
        """SHA-256 of description, weights and layers, in hexadecimal."""
        digest = hashlib.sha256(json.dumps([self.model, self.layers], sort_keys=True).encode())
        for layer, variables in sorted(self.weights.items()):
            for name, values in sorted(variables.items()):
                digest.update(f"{layer}/{name}{values.shape}".encode() + values.tobytes())
        return digest.hexdigest()

    def _add(self, layer: QuantisedLayer, factor: int) -> None:
        """The Keras layers of one node."""
        node, name = layer.node, keras_name(layer.node.name)
        source = self._ends[node.ifmap]
        if node.layer.operation == Operation.POOL:
            self._append("GlobalAveragePooling2D", name, [source], node.name, keepdims=False)
            self.layers[name]["Precision"]["accum"] = _sum_type(self._fractions[node.ifmap] + 8)
        else:
            self._multiply(layer, source, factor)
        end = name
        if node.residual is not None:
            end = f"{name}_add"
            self._append("Add", end, [name, self._ends[node.residual]], node.name)
        if node.activation == Activation.RELU:
            self._append("Activation", f"{name}_relu", [end], node.name, activation="relu")
            end = f"{name}_relu"
        self._ends[node.name] = end

    def _append(self, kind: str, name: str, sources: list[str], node: str, **settings: Any) -> None:
        """A Keras layer whose results have the type of the node's map."""
        inbound = [[[source, 0, 0, {}] for source in sources]] if sources else []
        config = {"name": name, "data_format": "channels_last", **settings}
        self._entries.append({"class_name": kind, "name": name, "config": config, "inbound_nodes": inbound})
        precision = {"result": _fixed(self._bits, self._fractions[node])}
        self.layers[name] = {"Precision": precision, "ReuseFactor": 1, "Strategy": "resource"}

    def _multiply(self, layer: QuantisedLayer, source: str, factor: int) -> None:
        """A convolution, depthwise or dense layer, after what pads its map."""
        node, name, shape = layer.node, keras_name(layer.node.name), layer.node.layer
        assert layer.weight is not None
        if shape.padding:
            sides = [_padding(shape, extent) for extent in (shape.in_height, shape.in_width)]
            self._append("ZeroPadding2D", f"{name}_pad", [source], node.ifmap, padding=sides)
            source = f"{name}_pad"
        # factor = step of a product / step of the map = multiplier / 2^shift, and the multiplier is 2^15.
        product = self._fractions[node.name] - 15 + int(layer.shift[layer.multiplier > 0].max(initial=15))
        weight = product - self._fractions[node.ifmap]
        kernel = layer.weight.astype(np.float64) * 2.0**-weight
        window = {"kernel_size": [shape.kernel_height, shape.kernel_width], "strides": [shape.stride] * 2}
        common = {**window, "padding": "valid", "use_bias": True}
        depthwise = shape.operation == Operation.DEPTHWISE
        settings: dict[str, Any]
        if depthwise:
            kind, variable, kernel = "DepthwiseConv2D", "depthwise_kernel", kernel.transpose(2, 3, 0, 1)
            settings = {"depth_multiplier": 1, **common}
        elif node.name in self._vector_readers:
            kind, variable, kernel = "Dense", "kernel", kernel[:, :, 0, 0].T
            settings = {"units": shape.out_channels, "use_bias": True}
        else:
            kind, variable, kernel = "Conv2D", "kernel", kernel.transpose(2, 3, 1, 0)
            settings = {"filters": shape.out_channels, **common}
        self._append(kind, name, [source], node.name, **settings)
        self.weights[name] = {"bias": layer.bias.astype(np.float64) * 2.0**-product, variable: kernel}
        described = self.layers[name]
        described["Precision"]["weight"] = _fixed(self._bits, weight, rounded=False)
        described["Precision"] |= dict.fromkeys(("bias", "accum"), _sum_type(product))
        if node.residual is not None:
            described["Precision"]["result"] = _fixed(RESIDUAL_BITS, self._fractions[node.name])
        described["ReuseFactor"] = factor
        if depthwise and self._io_type == IoType.PARALLEL:
            # hls4ml has no other depthwise layer for maps in registers.
            described["Strategy"] = "latency"


def _padding(layer: Layer, extent: int) -> list[int]:
    """Pixels before and after an axis: as many after it as the last window reads."""
    outputs = (extent + 2 * layer.padding - layer.kernel_height) // layer.stride + 1
    return [layer.padding, (outputs - 1) * layer.stride + layer.kernel_height - extent - layer.padding]
