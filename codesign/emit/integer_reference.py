"""Networks in integers, and their results, each rounded once; the engine rounds a map that is added by itself.

Every layer is int32 sums, then for each output channel

    v = sum + bias
    r = (v * multiplier + 2^(shift-1)) >> shift            (+ the residual map, rescaled by its own pair)
    result = table[clamp(r, -128, 127) + 128]

A node that adds last adds the residual map to the result instead, and clamps again.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from codesign.emit.convolve import Maps, layer_sums, walk
from cost_models.workload import Node, Workload
from hw_templates.foundation.arrays import Int8Array, Int32Array, IntArray
from hw_templates.foundation.errors import InvalidValueError

IMAGES_AT_ONCE = 64


@dataclass(frozen=True, eq=False, kw_only=True)
class QuantisedLayer:
    """One layer in integers.

    Attributes:
        node: the layer in its place.
        weight: int8 in -127..127, or -7..7 where the layer's have 4 bits; [M, C, k, k] for a convolution, [C, 1, k, k]
            for a depthwise one, otherwise None.
        bias: int32 [M], in units of one step of the products.
        multiplier: int32 [M], 0 or in 2^15..2^16-1.
        shift: int32 [M], 1..47.
        table: int8 [256], the activation of q at index q + 128.
        residual_multiplier: of the map that is added; 0 where none is.
        residual_shift: of the map that is added; 1 where none is.
    """

    node: Node
    weight: Int8Array | None
    bias: Int32Array
    multiplier: Int32Array
    shift: Int32Array
    table: Int8Array
    residual_multiplier: int
    residual_shift: int


@dataclass(frozen=True, eq=False)
class QuantisedNetwork:
    """A network in integers.

    Attributes:
        layers: in the order they run.
        input_scale: real value of one step of the input image.
        output_scale: real value of one step of the result.
    """

    layers: tuple[QuantisedLayer, ...]
    input_scale: float
    output_scale: float

    @property
    def workload(self) -> Workload:
        """The network that is priced."""
        return Workload(tuple(layer.node for layer in self.layers))


def run_integer(network: QuantisedNetwork, images: Int8Array) -> Int8Array:
    """Return the network's result for each image: [n, M] where the last map is M x 1 x 1, else [n, M, H, W].

    Args:
        network: the quantised network.
        images: int8 [n, C, H, W] in units of ``network.input_scale``.

    Raises:
        InvalidValueError: the images are not int8 or not of the network's shape.
    """
    if images.dtype != np.int8:
        raise InvalidValueError("images.dtype", str(images.dtype), "int8")
    check_images("images", network.workload, images)
    layers = {layer.node.name: layer for layer in network.layers}

    def compute(node: Node, reads: dict[str, Maps]) -> Maps:
        return after_table(layers[node.name], before_table(layers[node.name], reads), reads)

    parts = (images[first : first + IMAGES_AT_ONCE] for first in range(0, len(images), IMAGES_AT_ONCE))
    return np.concatenate([walk(network.workload, part, compute) for part in parts])


def before_table(layer: QuantisedLayer, reads: dict[str, Maps]) -> Int8Array:
    """Compute a layer's saturated int8 result [n, M, OH, OW] before its table from the maps it reads, by role."""
    wide = {role: values.astype(np.int32) for role, values in reads.items()}
    weight = None if layer.weight is None else layer.weight.astype(np.int32)
    value = layer_sums(layer.node.layer, wide["ifmap"], weight, wide.get("gate")) + layer.bias[:, None, None]
    result = rescale(value, layer.multiplier[:, None, None], layer.shift[:, None, None])
    if "residual" in wide and not layer.node.adds_last:
        result += rescale(wide["residual"], layer.residual_multiplier, layer.residual_shift)
    return saturate(result)


def after_table(layer: QuantisedLayer, before: Int8Array, reads: dict[str, Maps]) -> Int8Array:
    """Compute a layer's map from its result before the activation table and the maps it reads, by role."""
    looked_up: Int8Array = layer.table[before.astype(np.intp) + 128]
    if not layer.node.adds_last:
        return looked_up
    return saturate(
        looked_up + rescale(reads["residual"].astype(np.int32), layer.residual_multiplier, layer.residual_shift)
    )


def rescale(value: Int32Array, multiplier: Any, shift: Any) -> IntArray:
    """Return (value * multiplier + 2^(shift-1)) >> shift: value * multiplier / 2^shift, halves rounded up.

    ``multiplier`` and ``shift`` are integers or int32 arrays that broadcast against ``value``.
    """
    # One floor after another is the floor of both, so that a half can be added between two shifts.
    rescaled: IntArray = ((value.astype(np.int64) * multiplier >> (shift - 1)) + 1) >> 1
    return rescaled


def saturate(value: IntArray) -> Int8Array:
    """Return the nearest int8 values."""
    return np.clip(value, -128, 127).astype(np.int8)


def check_images(field: str, workload: Workload, images: Maps) -> None:
    """Refuse, with InvalidValueError, images that are not finite [n >= 1, C, H, W] of the workload's input."""
    wanted = workload.nodes[0].layer.in_shape
    if images.ndim != 4 or images.shape[1:] != wanted or len(images) == 0:
        raise InvalidValueError(f"{field}.shape", images.shape, f"(n, {', '.join(map(str, wanted))}) with n at least 1")
    check_finite(field, images)


def check_finite(field: str, values: Maps) -> None:
    """Refuse, with InvalidValueError, values of which one is not finite."""
    bad = values[~np.isfinite(values)]
    if bad.size:
        raise InvalidValueError(field, float(bad[0]), "finite")
