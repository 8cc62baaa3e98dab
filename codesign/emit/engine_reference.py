"""The results of version 2 of the engine in numpy integers: the definition of bit-exactness for its program format.

Every layer is int32 sums, then for each output channel (in an average pool for each border class), where shift is
code + 12,

    v     = sat25(sum + bias)                                    sat_n: saturation to n signed bits
    r     = (v * multiplier + 2^(shift-1)) >> shift
    added = sat9((residual * residual_multiplier + 2^15) >> 16)
    y     = table[sat8(r + (before ? added : 0)) + 128]
    out   = after ? sat8(y + added) : y

where a map may be added before or after the activation table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cost_models.engine.layer import EngineLayer
from cost_models.engine.tiles import TiledLayer
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


@dataclass(frozen=True, kw_only=True, eq=False)
class EngineNode:
    """A layer in its tiles with its data, and the names of the maps that it reads."""

    name: str
    tiled: TiledLayer
    data: EngineData
    ifmap: str
    gate: str | None = None
    residual: str | None = None


def run_engine_nodes(nodes: Sequence[EngineNode], given: Mapping[str, Int8Array]) -> dict[str, Int8Array]:
    """Return the maps [C, H, W] of all layers by name, and those given, of one image."""
    maps = dict(given)
    for node in nodes:
        gate = None if node.gate is None else maps[node.gate][:, 0, 0]
        residual = None if node.residual is None else maps[node.residual]
        maps[node.name] = engine_result(node.tiled.layer, node.data, maps[node.ifmap], gate, residual)
    return maps


def engine_result(
    layer: EngineLayer, data: EngineData, ifmap: Int8Array, gate: Int8Array | None, residual: Int8Array | None
) -> Int8Array:
    """Return the map [M, OH, OW] that a layer makes of the map [C, H, W] in memory, a gate [C] and a map to add."""
    v = _saturate(engine_sums(layer, data, ifmap, gate) + _of_results(layer, data, data.bias), 25)
    shift = _of_results(layer, data, data.code) + 12
    result = (v * _of_results(layer, data, data.multiplier) + (1 << (shift - 1))) >> shift
    added = np.zeros((), np.int64)
    if residual is not None:
        added = _saturate((residual.astype(np.int64) * data.residual_multiplier + (1 << 15)) >> 16, 9)
    looked_up = data.table[_saturate(result + (added if layer.residual == 1 else 0), 8) + 128].astype(np.int64)
    return _saturate(looked_up + (added if layer.residual == 2 else 0), 8).astype(np.int8)


def engine_sums(layer: EngineLayer, data: EngineData, ifmap: Int8Array, gate: Int8Array | None) -> IntArray:
    """Return the sums [M, OH, OW] of a layer before its bias; those of a maximum are the greatest values."""
    wide = ifmap.astype(np.int64)
    if layer.repeat:
        wide = wide.repeat(2, axis=1).repeat(2, axis=2)
    (kh, kw), (sh, sw), (eh, ew) = layer.kernel, layer.stride, layer.dilation
    top, left = layer.padding[:2]
    height = max(top + layer.in_height, (layer.out_height - 1) * sh + (kh - 1) * eh + 1)
    width = max(left + layer.in_width, (layer.out_width - 1) * sw + (kw - 1) * ew + 1)
    padded = np.full((layer.in_channels, height, width), layer.pad_value, np.int64)
    padded[:, top : top + layer.in_height, left : left + layer.in_width] = wide
    views = [
        padded[:, r * eh :: sh, c * ew :: sw][:, : layer.out_height, : layer.out_width]
        for r in range(kh)
        for c in range(kw)
    ]
    windows = np.stack(views, axis=1)
    sums: IntArray
    if layer.operation.reads_gate:
        assert gate is not None
        sums = windows[:, 0] * gate.astype(np.int64)[:, None, None]
    elif layer.operation.selects:
        sums = windows.max(axis=1)
    elif data.weight is None:
        sums = windows.sum(axis=1)
    else:
        weight = data.weight.reshape(*data.weight.shape[:2], -1).astype(np.int64)
        if layer.operation.is_dense:
            sums = np.einsum("mct,cthw->mhw", weight, windows, optimize=True)
        else:
            sums = np.einsum("ct,cthw->chw", weight[:, 0], windows)
    return sums


def border_classes(size: int, low: int, high: int) -> IntArray:
    """Return the class of each of ``size`` rows (columns) of which ``low`` first and ``high`` last are their own."""
    at = np.arange(size)
    classes: IntArray = np.where(at <= low, at, np.where(at < size - high, low, low + 1 + at - (size - high)))
    return classes


def _of_results(layer: EngineLayer, data: EngineData, values: IntArray) -> IntArray:
    """Return parameters [M] or [row class, column class] so that they broadcast against results [M, OH, OW]."""
    wide: IntArray = values.astype(np.int64)
    if layer.operation.averages:
        top, bottom, left, right = data.edges
        rows, columns = border_classes(layer.out_height, top, bottom), border_classes(layer.out_width, left, right)
        of_classes: IntArray = wide[np.ix_(rows, columns)]
        return of_classes
    return wide[:, None, None]


def _saturate(values: IntArray, bits: int) -> IntArray:
    return np.clip(values, -(1 << (bits - 1)), (1 << (bits - 1)) - 1)
