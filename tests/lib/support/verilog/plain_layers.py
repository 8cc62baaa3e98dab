"""What layers make of numbers that stand for bytes, by plain geometry: sums modulo 2^64, whatever the operation."""

from itertools import product

import numpy as np
from support.verilog.descriptor_walk import ADDED, Numbers, table_number

from codesign.emit.engine_reference import EngineNode, border_classes
from cost_models.engine.layer import EngineLayer


def plain_sums(layer: EngineLayer, ifmap: Numbers, weights: Numbers | None) -> Numbers:
    """Return sums [M, OH, OW] modulo 2^64: of the values under each window, whatever the operation."""
    padding = np.int64(layer.pad_value).astype(np.uint64)
    halves = 2 if layer.repeat else 1
    sums = np.zeros((layer.out_channels, layer.out_height, layer.out_width), np.uint64)
    for r, c in product(*map(range, layer.kernel)):
        rows = np.arange(layer.out_height) * layer.stride[0] + r * layer.dilation[0] - layer.padding[0]
        cols = np.arange(layer.out_width) * layer.stride[1] + c * layer.dilation[1] - layer.padding[1]
        inside = np.logical_and.outer((rows >= 0) & (rows < layer.in_height), (cols >= 0) & (cols < layer.in_width))
        at = np.ix_(np.clip(rows, 0, layer.in_height - 1) // halves, np.clip(cols, 0, layer.in_width - 1) // halves)
        values = np.where(inside, ifmap[:, at[0], at[1]], padding)
        if weights is None:
            sums += values
        elif layer.operation.is_dense:
            sums += (weights[:, :, r, c] @ values.reshape(layer.in_channels, -1)).reshape(sums.shape)
        else:
            sums += weights[:, 0, r, c, None, None] * values
    return sums


def plain_result(node: EngineNode, maps: dict[str, Numbers]) -> Numbers:
    """Return the numbers [M, OH, OW] that a layer makes of maps [C, H, W], where each byte stands for its own value.

    Of a bias only the lowest byte is taken.
    """
    layer, data = node.tiled.layer, node.data
    weights = None if data.weight is None else data.weight.astype(np.int64).astype(np.uint64)
    if node.gate is not None:
        weights = maps[node.gate].reshape(-1, 1, 1, 1)
    bias = (data.bias & 255).astype(np.uint8).astype(np.int8).astype(np.int64).astype(np.uint64)
    if layer.operation.averages:
        top, bottom, left, right = data.edges
        classes = border_classes(layer.out_height, top, bottom), border_classes(layer.out_width, left, right)
        result = plain_sums(layer, maps[node.ifmap], weights) + bias.reshape(top + bottom + 1, -1)[np.ix_(*classes)]
    else:
        result = plain_sums(layer, maps[node.ifmap], weights) + bias[:, None, None]
    if node.residual is not None:
        result = result + maps[node.residual] * np.uint64(data.residual_multiplier * ADDED[layer.residual])
    return result + table_number(data.table.astype(np.int64).astype(np.uint64))
