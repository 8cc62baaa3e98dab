"""The sums of a layer, for integers and floats alike, and the walk over a network's layers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from cost_models.workload import IMAGE, Layer, Node, Workload

Maps = npt.NDArray[Any]
"""Feature maps [n, C, H, W] or weights, int32 or float32."""

COLUMN_VALUES = 2**22
"""Values of the widest intermediate array, so that large maps do not exhaust memory."""


def layer_sums(layer: Layer, ifmap: Maps, weight: Maps | None, gate: Maps | None) -> Maps:
    """Compute the multiply-accumulate part of a layer, before its bias; padding is zero.

    Args:
        layer: what to compute.
        ifmap: [n, C, H, W].
        weight: [M, C, k, k] for a convolution, [C, 1, k, k] for a depthwise one; otherwise unused.
        gate: [n, C, 1, 1] for a scale; otherwise unused.

    Returns:
        [n, M, OH, OW] of the type of ``ifmap``. An average pool gives the sum of each window, not its mean; where half
        a window overhangs the map, the other half counts twice, so that the mean is that of what is inside.
    """
    if layer.operation.reads_gate:
        assert gate is not None
        scaled: Maps = ifmap * gate
        return scaled
    if layer.operation.is_weightless:
        return _pool(layer, ifmap)
    assert weight is not None
    at_once = max(1, COLUMN_VALUES // (layer.in_channels * layer.taps * layer.out_height * layer.out_width))
    return np.concatenate(
        [_convolve(layer, ifmap[first : first + at_once], weight) for first in range(0, len(ifmap), at_once)]
    )


def _windows(layer: Layer, ifmap: Maps, padding: Any = 0) -> Maps:
    """Return what each output reads, [n, C, OH, OW, k, k]; the edge is repeated where a window overhangs the map."""
    p, s, kernel = layer.padding, layer.stride, (layer.kernel_height, layer.kernel_width)
    padded = np.pad(ifmap, ((0, 0), (0, 0), (p, p), (p, p)), constant_values=padding)
    below = (layer.out_height - 1) * s + layer.kernel_height - padded.shape[2]
    right = (layer.out_width - 1) * s + layer.kernel_width - padded.shape[3]
    if below > 0 or right > 0:
        padded = np.pad(padded, ((0, 0), (0, 0), (0, max(0, below)), (0, max(0, right))), mode="edge")
    windows: Maps = np.lib.stride_tricks.sliding_window_view(padded, (1, 1, *kernel))[:, :, ::s, ::s, 0, 0]
    return windows


def _pool(layer: Layer, ifmap: Maps) -> Maps:
    if layer.operation.selects:
        # Every window reads some of the map, so the least of it changes no maximum.
        greatest: Maps = _windows(layer, ifmap, ifmap.min()).max(axis=(4, 5))
        return greatest
    total: Maps = _windows(layer, ifmap).sum(axis=(4, 5), dtype=ifmap.dtype)
    return total


def _convolve(layer: Layer, ifmap: Maps, weight: Maps) -> Maps:
    """Compute a dense or depthwise convolution as a product of matrices over the pixels of all images."""
    columns = _windows(layer, ifmap).transpose(1, 4, 5, 0, 2, 3).reshape(layer.in_channels, layer.taps, -1)
    # einsum and not matmul: for integers it is the one of the two that uses the vector units.
    if not layer.operation.is_dense:
        sums = np.einsum("ck,ckp->cp", weight.reshape(layer.in_channels, -1), columns)
    else:
        flat = columns.reshape(-1, columns.shape[-1])
        sums = np.einsum("mk,kp->mp", weight.reshape(layer.out_channels, -1), flat)
    shape = (layer.out_channels, len(ifmap), layer.out_height, layer.out_width)
    return np.ascontiguousarray(sums.reshape(shape).transpose(1, 0, 2, 3))


def walk(workload: Workload, images: Maps, compute: Callable[[Node, dict[str, Maps]], Maps]) -> Maps:
    """Compute each node's map, in order, and return the last: [n, M] where it has one pixel, else [n, M, H, W].

    A map is dropped after its last reader.

    Args:
        workload: the network.
        images: [n, C, H, W].
        compute: from a node and the maps it reads, by role ("ifmap", "gate", "residual"), to its own map.
    """
    last_readers = {producer: node.name for node in workload for _, producer in node.reads}
    maps = {IMAGE: images}
    for node in workload:
        result = maps[node.name] = compute(node, {role: maps[producer] for role, producer in node.reads})
        for producer in {producer for _, producer in node.reads if last_readers[producer] == node.name}:
            del maps[producer]
    return result[:, :, 0, 0] if result.shape[2:] == (1, 1) else result
