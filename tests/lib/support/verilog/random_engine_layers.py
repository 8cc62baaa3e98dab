"""Random layers, tilings and data for the engine: everything that its program format can describe."""

import math

import numpy as np

from codesign.emit.engine_reference import EngineData, EngineNode
from codesign.emit.limits import check_tiles
from cost_models.engine.layer import EngineLayer
from cost_models.engine.tiles import TiledLayer
from cost_models.mapping.mapping import LoopOrder, Mapping
from hw_templates.conv_engine.engine_shape import EngineShape
from hw_templates.foundation.errors import MappingError
from hw_templates.operations import Operation

_OPERATIONS = [Operation.CONV, Operation.CONV, Operation.DEPTHWISE, Operation.POOL, Operation.MAX_POOL, Operation.SCALE]


def random_tiled_layer(rng: np.random.Generator, shape: EngineShape) -> TiledLayer:
    """Return a layer that the engine can run, in tiles that fit its buffers."""
    while True:
        tiled = randomly_tiled(rng, random_layer(rng, shape), shape)
        if tiled is not None:
            return tiled


def randomly_tiled(rng: np.random.Generator, layer: EngineLayer, shape: EngineShape) -> TiledLayer | None:
    """Return a layer in random tiles that the engine can run; None if 200 tries find none."""
    for _ in range(200):
        tiled = TiledLayer(layer=layer, mapping=_random_mapping(rng, layer, shape), shape=shape)
        if _runs(tiled):
            return tiled
    return None


def random_layer(rng: np.random.Generator, shape: EngineShape) -> EngineLayer:
    """Return a layer within the limits of an engine."""
    limits = shape.limits
    operation = _OPERATIONS[rng.integers(len(_OPERATIONS))]

    def pair(most: int) -> tuple[int, int]:
        return int(rng.integers(1, most + 1)), int(rng.integers(1, most + 1))

    kernel, stride, dilation = pair(limits.max_kernel), pair(limits.max_stride), pair(limits.max_dilation)
    if operation is Operation.SCALE:
        kernel = stride = dilation = (1, 1)
    elif operation in (Operation.POOL, Operation.MAX_POOL) and rng.random() < 0.3:
        kernel, stride, dilation = pair(13), (1, 1), (1, 1)
    reach = [(kernel[axis] - 1) * dilation[axis] for axis in (0, 1)]
    padding = tuple(int(rng.integers(0, min(5, reach[side % 2]) + 1)) for side in range(4))
    repeat = rng.random() < 0.15
    size = [max(1, int(rng.integers(1, 14)), reach[axis] + 1 - padding[axis] - padding[axis + 2]) for axis in (0, 1)]
    if repeat:
        size = [length + length % 2 for length in size]
    in_channels = int(rng.integers(1, 40))
    pad_value = -128 if operation is Operation.MAX_POOL else int(rng.integers(-128, 128)) * limits.zero_point
    return EngineLayer(
        operation=operation,
        in_channels=in_channels,
        in_height=size[0],
        in_width=size[1],
        out_channels=int(rng.integers(1, 40)) if operation.is_dense else in_channels,
        kernel=kernel,
        stride=stride,
        dilation=dilation,
        padding=(padding[0], padding[1], padding[2], padding[3]),
        pad_value=pad_value,
        repeat=repeat,
        weight_bits=4 if operation.has_weights and rng.random() < 0.3 else 8,
        residual=int(rng.choice([0, 0, 1, 2])),
    )


def _random_mapping(rng: np.random.Generator, layer: EngineLayer, shape: EngineShape) -> Mapping:
    rows, cols = shape.accelerator.pe_rows, shape.accelerator.pe_cols
    orders = list(LoopOrder)
    if not layer.operation.is_dense:
        rows = cols = math.lcm(rows, cols)
        orders.remove(LoopOrder.INPUTS_OUTER)
    tile_out = rows * int(rng.integers(1, math.ceil(layer.out_channels / rows) + 1))
    tile_in = cols * int(rng.integers(1, math.ceil(layer.in_channels / cols) + 1))
    return Mapping(
        tile_out_channels=tile_out,
        tile_in_channels=tile_in if layer.operation.is_dense else tile_out,
        tile_height=int(rng.integers(1, layer.out_height + 1)),
        tile_width=int(rng.integers(1, layer.out_width + 1)),
        loop_order=orders[rng.integers(len(orders))],
    )


def _runs(tiled: TiledLayer) -> bool:
    """Return whether the engine can run a layer in these tiles."""
    nothing = np.zeros(0, np.int64)
    data = EngineData(weight=None, bias=nothing, multiplier=nothing, code=nothing, table=np.zeros(256, np.int8))
    try:
        check_tiles(EngineNode(name="layer", tiled=tiled, data=data, ifmap="ifmap"))
    except MappingError:
        return False
    return True


def random_data(rng: np.random.Generator, layer: EngineLayer, borders: bool = True) -> EngineData:
    """Return weights and parameters with which most results fit int8; ``borders``: an average pool may have classes."""
    weight = None
    if layer.operation.has_weights:
        most = 7 if layer.weight_bits == 4 else 127
        inputs = layer.in_channels if layer.operation.is_dense else 1
        weight = rng.integers(-most, most + 1, (layer.out_channels, inputs, *layer.kernel)).astype(np.int8)
    edges = (0, 0, 0, 0)
    size: tuple[int, ...] = (layer.out_channels,)
    if layer.operation.averages and not borders:
        size = (1, 1)
    elif layer.operation.averages:
        top, left = int(rng.integers(0, min(4, layer.out_height))), int(rng.integers(0, min(4, layer.out_width)))
        bottom = int(rng.integers(0, min(4, layer.out_height - top)))
        right = int(rng.integers(0, min(4, layer.out_width - left)))
        edges, size = (top, bottom, left, right), (top + bottom + 1, left + right + 1)
    factor = (
        2.0 ** (layer.weight_bits - 2) if layer.operation.has_weights else 64.0 if layer.operation.reads_gate else 1.0
    )
    spread = 64 * factor * math.sqrt(layer.taps * (layer.in_channels if layer.operation.is_dense else 1))
    code = int(16 + math.log2(spread / 64)) - 12
    return EngineData(
        weight=weight,
        bias=rng.integers(-int(spread), int(spread) + 1, size),
        multiplier=rng.integers(2**15, 2**16, size),
        code=np.clip(code + rng.integers(-2, 2, size), 0, 31),
        table=rng.integers(-128, 128, 256).astype(np.int8)
        if rng.random() < 0.5
        else np.arange(-128, 128, dtype=np.int8),
        edges=edges,
        residual_multiplier=int(2**16 * rng.uniform(0, 2)) if layer.residual else 0,
    )
