"""The results of the engine in numpy integers: the definition of bit-exactness for its programs.

Every layer is int32 sums, then for each output channel (in an average pool for each border class), where shift is
code + 12,

    v     = sat25(sum + bias)                                    sat_n: saturation to n signed bits
    r     = (v * multiplier + 2^(shift-1)) >> shift
    added = sat9((residual * residual_multiplier + 2^15) >> 16)
    y     = table[sat8(r + (before ? added : 0)) + 128]
    out   = after ? sat8(y + added) : y

where a map may be added before or after the activation table.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from codesign.emit.convolve import Maps, walk
from codesign.emit.integer_reference import IMAGES_AT_ONCE
from cost_models.engine.layer import EngineLayer
from cost_models.engine.tiles import TiledLayer
from cost_models.mapping.placement import IN_MEMORY, Placement
from cost_models.workload import Node, Workload
from hw_templates.foundation.arrays import Int8Array, IntArray


@dataclass(frozen=True, eq=False, kw_only=True)
class EngineData:
    """Weights and parameters that a layer computes with.

    Attributes:
        weight: int8 [M, C, kh, kw] of a convolution, [C, 1, kh, kw] of a depthwise one; None without weights.
        bias, multiplier, code: integers [M], or [rows, columns] of the border classes of an average pool.
        table: int8 [256].
        edges: rows above and below, columns left and right that are border classes of an average pool.
        residual_multiplier: scale of the map that is added, of 2^16.
    """

    weight: Int8Array | None
    bias: IntArray
    multiplier: IntArray
    code: IntArray
    table: Int8Array
    edges: tuple[int, int, int, int] = (0, 0, 0, 0)
    residual_multiplier: int = 0

    @property
    def edges_field(self) -> int:
        """The descriptor's field ``edges``."""
        top, bottom, left, right = self.edges
        return top | bottom << 4 | left << 8 | right << 12 | (left + right).bit_length() << 16


@dataclass(frozen=True, kw_only=True, eq=False)
class EngineNode:
    """A layer in its tiles with its data, the names of the maps that it reads, and where its maps stay."""

    name: str
    tiled: TiledLayer
    data: EngineData
    ifmap: str
    gate: str | None = None
    residual: str | None = None
    placement: Placement = IN_MEMORY


def run_engine(workload: Workload, nodes: Sequence[EngineNode], images: Int8Array) -> Int8Array:
    """Return a network's result for each image, as :func:`codesign.emit.integer_reference.run_integer` does.

    Args:
        workload: the network.
        nodes: its layers, in any order.
        images: int8 [n, C, H, W] in units of the network's input scale.
    """
    by_name = {node.name: node for node in nodes}

    def compute(node: Node, reads: dict[str, Maps]) -> Int8Array:
        engine = by_name[node.name]
        gate = reads["gate"][:, :, 0, 0] if node.gate else None
        return engine_result(engine.tiled.layer, engine.data, reads["ifmap"], gate, reads.get("residual"))

    parts = (images[first : first + IMAGES_AT_ONCE] for first in range(0, len(images), IMAGES_AT_ONCE))
    return np.concatenate([walk(workload, part, compute) for part in parts])


def engine_result(
    layer: EngineLayer, data: EngineData, ifmap: Int8Array, gate: Int8Array | None, residual: Int8Array | None
) -> Int8Array:
    """Return the maps [n, M, OH, OW] of a layer from maps [n, C, H, W] in memory, gates [n, C], and maps to add."""
    v = _saturate(engine_sums(layer, data, ifmap, gate) + _of_results(layer, data, data.bias), 25)
    shift = _of_results(layer, data, data.code) + 12
    result = (v * _of_results(layer, data, data.multiplier) + (1 << (shift - 1))) >> shift
    added = np.zeros((), np.int64)
    if residual is not None:
        added = _saturate((residual.astype(np.int64) * data.residual_multiplier + (1 << 15)) >> 16, 9)
    looked_up = data.table[_saturate(result + (added if layer.residual == 1 else 0), 8) + 128].astype(np.int64)
    return _saturate(looked_up + (added if layer.residual == 2 else 0), 8).astype(np.int8)


def engine_sums(layer: EngineLayer, data: EngineData, ifmap: Int8Array, gate: Int8Array | None) -> IntArray:
    """Return the sums [n, M, OH, OW] of a layer before its bias; those of a maximum are the greatest values.

    They are made of floats, whose matrix products are far the faster: of float32, which holds every integer up to
    2^24, where no sum of products of two bytes exceeds that, else of float64, which holds those up to 2^53.
    """
    terms = layer.taps * (layer.in_channels if layer.operation.is_dense else 1)
    kind = np.float32 if terms << 14 <= 1 << 24 else np.float64
    wide: Maps = ifmap.astype(kind)
    if layer.repeat:
        wide = wide.repeat(2, axis=2).repeat(2, axis=3)
    (kh, kw), (sh, sw), (eh, ew) = layer.kernel, layer.stride, layer.dilation
    top, left = layer.padding[:2]
    height = max(top + layer.in_height, (layer.out_height - 1) * sh + (kh - 1) * eh + 1)
    width = max(left + layer.in_width, (layer.out_width - 1) * sw + (kw - 1) * ew + 1)
    padded: Maps = np.full((len(ifmap), layer.in_channels, height, width), layer.pad_value, kind)
    padded[:, :, top : top + layer.in_height, left : left + layer.in_width] = wide
    sums: Maps = np.full((len(ifmap), layer.out_channels, layer.out_height, layer.out_width), 0, kind)
    if layer.operation.selects:
        sums -= 128
    for row in range(kh):
        for col in range(kw):
            seen = padded[:, :, row * eh :: sh, col * ew :: sw][:, :, : layer.out_height, : layer.out_width]
            if layer.operation.selects:
                np.maximum(sums, seen, out=sums)
            elif layer.operation.reads_gate:
                assert gate is not None
                sums += seen * gate[:, :, None, None].astype(kind)
            elif data.weight is None:
                sums += seen
            elif layer.operation.is_dense:
                weight = data.weight[:, :, row, col].astype(kind)
                sums += (weight @ seen.reshape(*seen.shape[:2], -1)).reshape(sums.shape)
            else:
                sums += seen * data.weight[:, 0, row, col, None, None].astype(kind)
    return sums.astype(np.int64)


def border_classes(size: int, low: int, high: int) -> IntArray:
    """Return the class of each of ``size`` rows (columns) of which ``low`` first and ``high`` last are their own."""
    at = np.arange(size)
    classes: IntArray = np.where(at <= low, at, np.where(at < size - high, low, low + 1 + at - (size - high)))
    return classes


def _of_results(layer: EngineLayer, data: EngineData, values: IntArray) -> IntArray:
    """Return parameters [M] or [row class, column class] so that they broadcast against results [n, M, OH, OW]."""
    wide: IntArray = values.astype(np.int64)
    if layer.operation.averages:
        top, bottom, left, right = data.edges
        rows, columns = border_classes(layer.out_height, top, bottom), border_classes(layer.out_width, left, right)
        of_classes: IntArray = wide[np.ix_(rows, columns)]
        return of_classes
    return wide[:, None, None]


def _saturate(values: IntArray, bits: int) -> IntArray:
    return np.clip(values, -(1 << (bits - 1)), (1 << (bits - 1)) - 1)
