"""The best mapping of a layer on each of many accelerators, by pricing every candidate as arrays."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cost_models.coefficients import LatencyCoefficients
from cost_models.latency import Timing, slot_cycles
from cost_models.mapping import LoopOrder, Mapping, channel_tiles, col_tiles, split_sizes
from cost_models.tiling import ChannelTiling, Engine, Inside, PixelTiling, Visit
from cost_models.workload import Layer, Operation
from hw_templates.accelerator import AcceleratorColumns, ifmap_depth, ofmap_depth, weight_depth
from hw_templates.board import Board

IntArray = NDArray[np.int64]

# Candidates x accelerators priced at a time: a dozen temporaries of this size stay in a core's cache.
_CHUNK = 16384


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
    """Tile sizes tried along each axis [choices, A], padded with zeros."""

    out_channels: IntArray
    in_channels: IntArray
    height: IntArray
    width: IntArray

    @classmethod
    def of(cls, layer: Layer, accelerators: AcceleratorColumns) -> "_Sizes":
        rows, cols, pixels = accelerators.pe_rows, accelerators.pe_cols, accelerators.pe_pixels
        dense = layer.operation == Operation.CONV
        out_units = rows if dense else np.lcm(rows, cols)
        return cls(
            _table(lambda unit: channel_tiles(layer.out_channels, unit), out_units),
            _table(lambda unit: channel_tiles(layer.in_channels, unit), cols)
            if dense
            else np.ones((1, len(rows)), np.int64),
            _table(lambda _: split_sizes(layer.out_height), np.ones_like(rows)),
            _table(lambda unit: col_tiles(layer.out_width, unit), pixels),
        )

    def chunks(self) -> Iterator[tuple[slice, "_Sizes"]]:
        """Parts of the accelerators, few enough at a time to stay in the cache."""
        parts = (self.out_channels, self.in_channels, self.height, self.width)
        width = max(1, _CHUNK // int(np.prod([len(part) for part in parts])))
        for start in range(0, self.width.shape[1], width):
            chunk = slice(start, start + width)
            columns = [part[:, chunk] for part in parts]
            yield chunk, _Sizes(*(part[part.any(axis=1)] for part in columns))


def _table(sizes: Callable[[int], tuple[int, ...]], units: IntArray) -> IntArray:
    """[choices, A] the sizes for the unit of each accelerator, padded with zeros."""
    unique, inverse = np.unique(units, return_inverse=True)
    lists = [sizes(int(unit)) for unit in unique]
    table = np.zeros((max(map(len, lists)), len(lists)), dtype=np.int64)
    for column, values in enumerate(lists):
        table[: len(values), column] = values
    return table[:, inverse]


def _combinations(first: IntArray, second: IntArray) -> tuple[IntArray, IntArray]:
    """[pairs, A] every size of one axis with every size of another; zero where either is padding."""
    pairs = first[:, None] * (second[None] > 0), second[None] * (first[:, None] > 0)
    return pairs[0].reshape(-1, first.shape[1]), pairs[1].reshape(-1, first.shape[1])


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
    engine = Engine.of(accelerators, np.float32)
    timing = Timing.of(engine, board, coefficients)
    tile_out, tile_in = _combinations(sizes.out_channels, sizes.in_channels)
    tile_height, tile_width = _combinations(sizes.height, sizes.width)
    # Padding is priced as one group and masked.
    channels = ChannelTiling.of(
        layer, engine, np.maximum(tile_out, 1).astype(np.float32), np.maximum(tile_in, 1).astype(np.float32)
    )
    pixels = PixelTiling.of(
        layer, engine, np.maximum(tile_height, 1).astype(np.float32), np.maximum(tile_width, 1).astype(np.float32)
    )
    legal = _fits(accelerators, channels, pixels) & (tile_out > 0)[:, None] & (tile_height > 0)[None]

    best = np.full(len(accelerators), np.inf, dtype=np.float32)
    chosen = np.zeros((3, len(accelerators)), dtype=np.int64)
    everyone = np.arange(len(accelerators))
    candidates = 0
    for visit, rows in _visits(sizes, legal.any(axis=2)):
        cycles = slot_cycles(layer, timing, visit, channels, pixels, rows)
        allowed = legal[rows]
        candidates += int(np.count_nonzero(allowed))
        cycles = np.where(allowed, cycles, np.float32(np.inf))
        row = cycles.argmin(axis=0)
        least = cycles[row, everyone]
        better = least < best
        best = np.where(better, least, best)
        chosen = np.where(
            better,
            [rows[0][row], rows[1][row], np.full_like(row, visit.inside == Inside.PIXELS and not visit.single_out)],
            chosen,
        )
    found = np.isfinite(best)
    if layer.operation != Operation.CONV:
        tile_in = tile_out
    picked = [
        table[index, everyone] * found
        for table, index in zip(
            (tile_out, tile_in, tile_height, tile_width), (chosen[0], chosen[0], chosen[1], chosen[1]), strict=True
        )
    ]
    return np.stack(picked), chosen[2].astype(bool), candidates


def _fits(accelerators: AcceleratorColumns, channels: ChannelTiling, pixels: PixelTiling) -> NDArray[np.bool_]:
    """[channel tilings, pixel tilings, A] whether a full tile fits all three buffers."""
    ifmap, weight, ofmap = channels.needs
    positions, groups = pixels.needs
    fits: NDArray[np.bool_] = ifmap[:, None] * positions[None] <= ifmap_depth(accelerators).astype(np.float32)
    fits &= ofmap[:, None] * groups[None] <= ofmap_depth(accelerators).astype(np.float32)
    fits &= (weight <= weight_depth(accelerators))[:, None]
    return fits


def _visits(sizes: _Sizes, possible: NDArray[np.bool_]) -> Iterator[tuple[Visit, tuple[IntArray, IntArray]]]:
    """Rows of the channel and of the pixel tilings that share a visit; the first choice of an axis is a single tile.

    ``possible`` [channel tilings, pixel tilings] drops what is legal on no accelerator.
    """
    channel, pixel = np.arange(possible.shape[0]), np.arange(possible.shape[1])
    many_in, many_out = channel % len(sizes.in_channels) > 0, channel // len(sizes.in_channels) > 0
    many_cols, many_pixels = pixel % len(sizes.width) > 0, pixel > 0
    anywhere = np.ones_like(many_pixels)
    for inside, single_out, channels, pixels in (
        (Inside.NONE, True, ~many_in & ~many_out, ~many_pixels),
        (Inside.CHANNELS, False, ~many_in & many_out, anywhere),
        (Inside.PIXELS, True, ~many_in & ~many_out, many_pixels),
        (Inside.PIXELS, False, ~many_in & many_out, many_pixels),
        (Inside.INPUTS, True, many_in & ~many_out, anywhere),
        (Inside.INPUTS, False, many_in & many_out, anywhere),
    ):
        for cut in (False, True):
            rows: Any = np.nonzero(possible & channels[:, None] & (pixels & (many_cols == cut))[None])
            if len(rows[0]):
                yield Visit(inside, single_out, cut), rows
