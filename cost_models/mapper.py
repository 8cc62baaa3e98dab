"""The best mapping of a layer on each of many accelerators, by pricing every candidate as arrays."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cost_models.coefficients import LatencyCoefficients
from cost_models.latency import Timing, slot_cycles
from cost_models.mapping import LoopOrder, Mapping, channel_tiles, col_tiles, split_sizes
from cost_models.tiling import Array, ChannelTiling, Engine, Inside, PixelTiling, Visit
from cost_models.workload import Layer, Operation
from hw_templates.accelerator import AcceleratorColumns, ifmap_depth, ofmap_depth, weight_depth
from hw_templates.board import Board

IntArray = NDArray[np.int64]

# Mappings x accelerators looked at a time; of these, up to a third are legal, in up to a dozen groups.
_CHUNK = 1 << 20
# Candidates priced at a time: a dozen temporaries of this size stay in a core's cache.
_BLOCK = 1 << 14


@dataclass(frozen=True)
class BestMappings:
    """The best mapping of one layer on each accelerator.

    Attributes:
        tiles: [4, A] output channels, input channels, height, width of a tile; 0 where nothing fits.
        channels_outer: [A] whether the loop order is ``channels_outer``.
        candidates: how many legal (mapping, accelerator) pairs were priced.
    """

    tiles: IntArray
    channels_outer: NDArray[np.bool_]
    candidates: int

    @property
    def found(self) -> NDArray[np.bool_]:
        """[A] whether any mapping fits."""
        found: NDArray[np.bool_] = self.tiles[0] > 0
        return found

    def mapping(self, index: int) -> Mapping:
        """The mapping on accelerator ``index``, which must have one."""
        order = LoopOrder.CHANNELS_OUTER if self.channels_outer[index] else LoopOrder.PIXELS_OUTER
        out_channels, in_channels, height, width = (int(size) for size in self.tiles[:, index])
        return Mapping(out_channels, in_channels, height, width, order)


@dataclass(frozen=True)
class _Sizes:
    """Tile sizes tried along each axis [A, choices], padded with zeros; the first choice is a single tile."""

    out_channels: IntArray
    in_channels: IntArray
    height: IntArray
    width: IntArray

    @classmethod
    def of(cls, layer: Layer, accelerators: AcceleratorColumns) -> "_Sizes":
        rows, cols = accelerators.pe_rows, accelerators.pe_cols
        one = np.ones_like(rows)
        if layer.operation == Operation.CONV:
            out_channels = _table(partial(channel_tiles, layer.out_channels), rows)
            in_channels = _table(partial(channel_tiles, layer.in_channels), cols)
        else:
            out_channels, in_channels = (
                _table(partial(channel_tiles, layer.out_channels), np.lcm(rows, cols)),
                one[:, None],
            )
        height = _table(lambda _: split_sizes(layer.out_height), one)
        return cls(
            out_channels, in_channels, height, _table(partial(col_tiles, layer.out_width), accelerators.pe_pixels)
        )

    def chunks(self) -> Iterator[tuple[slice, "_Sizes"]]:
        """Parts of the accelerators, few enough at a time for their candidates to stay in the cache."""
        parts = (self.out_channels, self.in_channels, self.height, self.width)
        length = max(1, _CHUNK // int(np.prod([part.shape[1] for part in parts])))
        for start in range(0, len(self.width), length):
            chunk = slice(start, start + length)
            rows = [part[chunk] for part in parts]
            yield chunk, _Sizes(*(part[:, part.any(axis=0)] for part in rows))


def _table(sizes: Callable[[int], tuple[int, ...]], units: IntArray) -> IntArray:
    """[A, choices] the sizes for the unit of each accelerator, padded with zeros."""
    unique, inverse = np.unique(units, return_inverse=True)
    lists = [sizes(int(unit)) for unit in unique]
    table = np.zeros((len(lists), max(map(len, lists))), dtype=np.int64)
    for row, values in enumerate(lists):
        table[row, : len(values)] = values
    return table[inverse]


def best_mappings(
    layer: Layer, accelerators: AcceleratorColumns, board: Board, coefficients: LatencyCoefficients
) -> BestMappings:
    """The mapping of least latency on each accelerator, of those in :func:`cost_models.mapping.enumerate_mappings`."""
    tiles = np.zeros((4, len(accelerators)), dtype=np.int64)
    channels_outer = np.zeros(len(accelerators), dtype=bool)
    candidates = 0
    for chunk, sizes in _Sizes.of(layer, accelerators).chunks():
        part = accelerators.take(np.arange(len(accelerators))[chunk])
        tiles[:, chunk], channels_outer[chunk], count = _search(layer, part, sizes, board, coefficients)
        candidates += count
    return BestMappings(tiles, channels_outer, candidates)


def _search(
    layer: Layer, accelerators: AcceleratorColumns, sizes: _Sizes, board: Board, coefficients: LatencyCoefficients
) -> tuple[IntArray, NDArray[np.bool_], int]:
    """Tiles [4, A] and loop order [A] of the best mappings, and how many were priced."""
    engine = Engine.of(accelerators, np.float32).column()
    timing = Timing.of(engine, board, coefficients)
    # Padding is cut into tiles of one unit, and left out below.
    tile_out, tile_in, tile_height, tile_width = (
        np.maximum(part, 1).astype(np.float32)
        for part in (sizes.out_channels, sizes.in_channels, sizes.height, sizes.width)
    )
    channels = ChannelTiling.of(layer, engine, *_pairs(tile_out, tile_in))
    pixels = PixelTiling.of(layer, engine, tile_height[:, :, None], tile_width[:, None])
    legal = _legal(accelerators, sizes, channels, pixels)
    accelerator, channel, pixel = np.nonzero(legal)
    channel_shape = (len(accelerators), sizes.out_channels.shape[1], sizes.in_channels.shape[1])
    pixel_shape = (len(accelerators), sizes.height.shape[1], sizes.width.shape[1])
    channel_index, pixel_index = accelerator * legal.shape[1] + channel, accelerator * legal.shape[2] + pixel

    # Cycles in the order pixels outer and in the order channels outer.
    cycles = np.full((2, len(accelerator)), np.inf, dtype=np.float32)
    candidates = 0
    group = _groups(sizes)[channel, pixel]
    for number, order, visit in _VISITS:
        rows = np.flatnonzero(group == number)
        candidates += len(rows)
        for start in range(0, len(rows), _BLOCK):
            block = rows[start : start + _BLOCK]
            cycles[order, block] = slot_cycles(
                layer,
                timing.take(accelerator[block]),
                visit,
                (channels, channel_index[block]),
                (pixels, pixel_index[block]),
            )
    found, best = _first_least(cycles.min(axis=0), accelerator)
    tiles = np.zeros((4, len(accelerators)), dtype=np.int64)
    out_row, in_row = np.divmod(channel[best], channel_shape[2])
    height_row, width_row = np.divmod(pixel[best], pixel_shape[2])
    tiles[0, found] = sizes.out_channels[found, out_row]
    tiles[1, found] = sizes.in_channels[found, in_row] if layer.operation == Operation.CONV else tiles[0, found]
    tiles[2, found] = sizes.height[found, height_row]
    tiles[3, found] = sizes.width[found, width_row]
    channels_outer = np.zeros(len(accelerators), dtype=bool)
    channels_outer[found] = cycles[1, best] < cycles[0, best]
    return tiles, channels_outer, candidates


def _pairs(first: Array, second: Array) -> tuple[Array, Array]:
    """[A, choices, choices] every size of one axis with every size of another."""
    pairs = np.broadcast_arrays(first[:, :, None], second[:, None])
    return np.ascontiguousarray(pairs[0]), np.ascontiguousarray(pairs[1])


def _legal(
    accelerators: AcceleratorColumns, sizes: _Sizes, channels: ChannelTiling, pixels: PixelTiling
) -> NDArray[np.bool_]:
    """[A, channel tilings, pixel tilings] whether a full tile fits all three buffers, and is no padding."""
    count = len(accelerators)
    depths = (
        depth(accelerators).astype(np.float32)[:, None, None] for depth in (ifmap_depth, weight_depth, ofmap_depth)
    )
    ifmap, weight, ofmap = depths
    real_channels = (sizes.out_channels[:, :, None] > 0) & (sizes.in_channels[:, None] > 0)
    real_pixels = (sizes.height[:, :, None] > 0) & (sizes.width[:, None] > 0)
    inputs, weights, outputs = (
        np.broadcast_to(need, real_channels.shape).reshape(count, -1, 1) for need in channels.needs
    )
    positions, groups = (np.broadcast_to(need, real_pixels.shape).reshape(count, 1, -1) for need in pixels.needs)
    legal: NDArray[np.bool_] = inputs * positions <= ifmap
    legal &= outputs * groups <= ofmap
    legal &= (weights <= weight) & real_channels.reshape(count, -1, 1)
    legal &= real_pixels.reshape(count, 1, -1)
    return legal


# Visits by the number of their group (see _groups), and the loop order they belong to: 0 is pixels outer.
_VISITS = tuple(
    (2 * group + many_cols, order, Visit(inside, single_out, bool(many_cols)))
    for group, order, inside, single_out in (
        (0, 0, Inside.NONE, True),
        (1, 0, Inside.PIXELS, True),
        (2, 0, Inside.CHANNELS, False),
        (3, 0, Inside.CHANNELS, False),
        (3, 1, Inside.PIXELS, False),
        (4, 0, Inside.INPUTS, True),
        (5, 0, Inside.INPUTS, False),
    )
    for many_cols in (0, 1)
)


def _groups(sizes: _Sizes) -> NDArray[np.int8]:
    """[channel tilings, pixel tilings] the group of visits that a tiling belongs to."""
    out_row, in_row = np.divmod(
        np.arange(sizes.out_channels.shape[1] * sizes.in_channels.shape[1]), sizes.in_channels.shape[1]
    )
    pixel = np.arange(sizes.height.shape[1] * sizes.width.shape[1])
    many_out, many_in, many_pixels = (out_row > 0)[:, None], (in_row > 0)[:, None], pixel[None] > 0
    group = np.where(many_in, 4 + many_out, 2 * many_out + many_pixels)
    return (2 * group + (pixel % sizes.width.shape[1] > 0)[None]).astype(np.int8)


def _first_least(values: NDArray[np.float32], owner: IntArray) -> tuple[IntArray, IntArray]:
    """(owners, for each the index of its first least value); ``owner`` is ascending."""
    owners, starts, counts = np.unique(owner, return_index=True, return_counts=True)
    if not len(owners):
        return owners, starts
    is_least = np.flatnonzero(values == np.repeat(np.minimum.reduceat(values, starts), counts))
    _, first = np.unique(owner[is_least], return_index=True)
    return owners, is_least[first]
