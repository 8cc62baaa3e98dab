"""The best mapping of each of many layers on an accelerator, by pricing every candidate as arrays."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cost_models.coefficients import LatencyCoefficients
from cost_models.latency import Timing, least_slot_cycles, slot_cycles
from cost_models.layer_columns import LayerColumns
from cost_models.mapping import channel_tiles, col_tiles
from cost_models.tiling import Array, ChannelTiling, Engine, PixelTiling
from cost_models.visits import VISITS, visit_numbers
from hw_templates.accelerator import AcceleratorColumns, ifmap_depth, ofmap_depth, weight_depth
from hw_templates.board import Board

IntArray = NDArray[np.int64]

# Mappings x cases looked at a time; of these, up to a third are legal, in up to a dozen groups.
_CHUNK = 1 << 20
# Candidates priced at a time: a dozen temporaries of this size stay in a core's cache.
_BLOCK = 1 << 14
# float32 may make a bound this much larger than the cycles that it bounds.
_ROUNDING = 1e-5


@dataclass(frozen=True)
class BestMappings:
    """The best mapping of each case, which is one layer on one accelerator.

    Attributes:
        tiles: [4, cases] output channels, input channels, height, width of a tile; 0 where nothing fits.
        channels_outer: [cases] whether the loop order is ``channels_outer``.
        candidates: how many legal (mapping, case) pairs were priced.
        calculated: for how many of them a lower bound did not show that another is at least as good.
    """

    tiles: IntArray
    channels_outer: NDArray[np.bool_]
    candidates: int
    calculated: int


@dataclass(frozen=True)
class _Sizes:
    """Tile sizes tried along each axis [cases, choices], padded with zeros; the first choice is a single tile."""

    out_channels: IntArray
    in_channels: IntArray
    height: IntArray
    width: IntArray

    @classmethod
    def of(cls, layers: LayerColumns, accelerators: AcceleratorColumns) -> "_Sizes":
        rows, cols, one = accelerators.pe_rows, accelerators.pe_cols, np.ones_like(accelerators.pe_rows)
        if layers.dense:
            out_channels = _table(channel_tiles, layers.out_channels, rows)
            in_channels = _table(channel_tiles, layers.in_channels, cols)
        else:
            out_channels = _table(channel_tiles, layers.out_channels, np.lcm(rows, cols))
            in_channels = one[:, None]
        heights = [band.end - band.begin for band in layers.bands]
        height = _table(channel_tiles, np.max(heights, axis=0) if heights else layers.out_height, one)
        return cls(out_channels, in_channels, height, _table(col_tiles, layers.out_width, accelerators.pe_pixels))

    @property
    def choices(self) -> IntArray:
        """[4, cases] how many sizes are tried along each axis."""
        parts = (self.out_channels, self.in_channels, self.height, self.width)
        return np.stack([np.count_nonzero(part, axis=1) for part in parts])

    def take(self, cases: IntArray) -> "_Sizes":
        """The sizes of some cases, without choices that none of them has."""
        parts = [part[cases] for part in (self.out_channels, self.in_channels, self.height, self.width)]
        # In C order, as everything calculated from them is then too, and np.take need not copy it first.
        return _Sizes(*(np.ascontiguousarray(part[:, part.any(axis=0)]) for part in parts))


def _chunks(choices: IntArray) -> Iterator[IntArray]:
    """Cases that have about as many choices [4, cases], few enough at a time for their tables to stay in the cache."""
    order = np.lexsort(choices)
    start = 0
    while start < len(order):
        most = np.maximum.accumulate(choices[:, order[start : start + _CHUNK]], axis=1)
        size = most.prod(axis=0) * np.arange(1, most.shape[1] + 1)
        length = max(1, int(np.searchsorted(size, _CHUNK)))
        yield order[start : start + length]
        start += length


def _table(sizes: Callable[[int, int], tuple[int, ...]], extents: IntArray, units: IntArray) -> IntArray:
    """[cases, choices] the sizes for the extent and unit of each case, padded with zeros."""
    most = int(units.max()) + 1
    unique, inverse = np.unique(extents * most + units, return_inverse=True)
    lists = [sizes(*divmod(int(key), most)) for key in unique]
    table = np.zeros((len(lists), max(map(len, lists))), dtype=np.int64)
    for row, values in enumerate(lists):
        table[row, : len(values)] = values
    return table[inverse]


def best_mappings(
    layers: LayerColumns, accelerators: AcceleratorColumns, board: Board, coefficients: LatencyCoefficients
) -> BestMappings:
    """The mapping of least latency of each case, of those in :func:`cost_models.mapping.enumerate_mappings`.

    Case i is layer i on accelerator i; cases may come in any order.
    """
    tiles = np.zeros((4, len(layers)), dtype=np.int64)
    channels_outer = np.zeros(len(layers), dtype=bool)
    candidates = 0
    sizes = _Sizes.of(layers, accelerators)
    calculated = 0
    for chunk in _chunks(sizes.choices):
        found = _search(layers.take(chunk), accelerators.take(chunk), sizes.take(chunk), board, coefficients)
        tiles[:, chunk], channels_outer[chunk] = found.tiles, found.channels_outer
        candidates += found.candidates
        calculated += found.calculated
    return BestMappings(tiles, channels_outer, candidates, calculated)


def _search(
    layers: LayerColumns,
    accelerators: AcceleratorColumns,
    sizes: _Sizes,
    board: Board,
    coefficients: LatencyCoefficients,
) -> BestMappings:
    """The best mappings among those of the given sizes."""
    engine = Engine.of(accelerators, np.float32).column()
    shapes = layers.astype(np.float32).take((slice(None), None, None))
    timing = Timing.of(engine, board, coefficients)
    # Padding is cut into tiles of one unit, and left out below.
    tile_out, tile_in, tile_height, tile_width = (
        np.maximum(part, 1).astype(np.float32)
        for part in (sizes.out_channels, sizes.in_channels, sizes.height, sizes.width)
    )
    channels = ChannelTiling.of(shapes, engine, *_pairs(tile_out, tile_in))
    runs = shapes.runs()
    tilings = [PixelTiling.of(run, engine, tile_height[:, :, None], tile_width[:, None]) for run, _ in runs]
    legal = _legal(accelerators, sizes, channels, tilings)
    flat = np.flatnonzero(legal)
    channel_index = flat // legal.shape[2]
    case = channel_index // legal.shape[1]
    channel, pixel = channel_index - case * legal.shape[1], flat - channel_index * legal.shape[2]
    pixel_index = case * legal.shape[2] + pixel
    out_row, in_row = np.divmod(channel, sizes.in_channels.shape[1])
    height_row, width_row = np.divmod(pixel, sizes.width.shape[1])
    # Of each run, by loop order: pixels outer, and channels outer where that visits other tiles.
    numbers = []
    for tiling in tilings:
        many_rows = height_row > 0 if len(runs) == 1 else np.take(tiling.counts[0], pixel_index) > 1
        axes = (out_row > 0, in_row > 0, many_rows, width_row > 0)
        numbers.append([visit_numbers(*axes, np.array(outer)) for outer in (False, True)])
    others = np.any([pixels_outer != channels_outer for pixels_outer, channels_outer in numbers], axis=0)
    orders = (np.arange(len(case)), np.flatnonzero(others))
    cycles, least = np.full((2, 2, len(case)), np.inf, dtype=np.float32)
    repeats = [np.broadcast_to(times, shapes.macs.shape)[:, 0, 0].astype(np.float32) for _, times in runs]
    for order, rows in enumerate(orders):
        of_rows = timing.take(case[rows])
        least[order, rows] = 0
        for tiling, number, times in zip(tilings, numbers, repeats, strict=True):
            candidates = (channels, channel_index[rows]), (tiling, pixel_index[rows])
            bound = least_slot_cycles(layers, of_rows, number[order][rows], *candidates)
            least[order, rows] += bound if len(runs) == 1 else times[case[rows]] * bound

    def calculate(order: int, rows: IntArray) -> int:
        cycles[order, rows] = 0
        for tiling, number, times in zip(tilings, numbers, repeats, strict=True):
            visits = number[order][rows]
            for visit in np.unique(visits):
                members = rows[visits == visit]
                for start in range(0, len(members), _BLOCK):
                    block = members[start : start + _BLOCK]
                    candidates = (channels, channel_index[block]), (tiling, pixel_index[block])
                    spent = slot_cycles(layers, timing.take(case[block]), VISITS[visit], *candidates)
                    cycles[order, block] += spent if len(runs) == 1 else times[case[block]] * spent
        return len(rows)

    # The most promising mapping of each case is priced first; then all that its bound does not rule out.
    owners, promising = _first_least(least.min(axis=0), case)
    first = least[:, promising].argmin(axis=0)
    calculated = sum(calculate(order, promising[first == order]) for order in (0, 1))
    reached = np.zeros(len(layers), dtype=np.float32)
    reached[owners] = cycles[first, promising]
    least[first, promising] = np.inf
    possible = least * np.float32(1 - _ROUNDING) < reached[case]
    calculated += sum(calculate(order, np.flatnonzero(possible[order])) for order in (0, 1))
    found, best = _first_least(cycles.min(axis=0), case)
    tiles = np.zeros((4, len(layers)), dtype=np.int64)
    tiles[0, found] = sizes.out_channels[found, out_row[best]]
    tiles[1, found] = sizes.in_channels[found, in_row[best]] if layers.dense else tiles[0, found]
    tiles[2, found] = sizes.height[found, height_row[best]]
    tiles[3, found] = sizes.width[found, width_row[best]]
    channels_outer = np.zeros(len(layers), dtype=bool)
    channels_outer[found] = cycles[1, best] < cycles[0, best]
    return BestMappings(tiles, channels_outer, len(orders[0]) + len(orders[1]), calculated)


def _pairs(first: Array, second: Array) -> tuple[Array, Array]:
    """[cases, choices, choices] every size of one axis with every size of another."""
    pairs = np.broadcast_arrays(first[:, :, None], second[:, None])
    return np.ascontiguousarray(pairs[0]), np.ascontiguousarray(pairs[1])


def _legal(
    accelerators: AcceleratorColumns, sizes: _Sizes, channels: ChannelTiling, tilings: list[PixelTiling]
) -> NDArray[np.bool_]:
    """[cases, channel tilings, pixel tilings] whether a full tile fits all three buffers, and is no padding."""
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
    positions, groups = (
        np.broadcast_to(np.max(needs, axis=0), real_pixels.shape).reshape(count, 1, -1)
        for needs in zip(*(pixels.needs for pixels in tilings), strict=True)
    )
    legal: NDArray[np.bool_] = inputs * positions <= ifmap
    legal &= outputs * groups <= ofmap
    legal &= (weights <= weight) & real_channels.reshape(count, -1, 1)
    legal &= real_pixels.reshape(count, 1, -1)
    return legal


def _first_least(values: NDArray[np.float32], owner: IntArray) -> tuple[IntArray, IntArray]:
    """(owners, for each the index of its first least value); ``owner`` is ascending."""
    owners, starts, counts = np.unique(owner, return_index=True, return_counts=True)
    if not len(owners):
        return owners, starts
    is_least = np.flatnonzero(values == np.repeat(np.minimum.reduceat(values, starts), counts))
    _, first = np.unique(owner[is_least], return_index=True)
    return owners, is_least[first]
