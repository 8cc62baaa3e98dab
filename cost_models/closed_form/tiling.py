"""The tiles of an axis of a layer: their number, and what full tiles and the last one take.

Tiles of channels come in the classes BODY (all but the last: full tiles) and LAST. Tiles of pixels come also in FIRST
and MIDDLE, as what they read is clipped at the borders of the map; BODY is then the mean of both. Where an axis has a
single tile, all classes are that tile. All functions are compiled.
"""

from typing import NamedTuple

import numpy as np

from cost_models.closed_form.compiled import compiled
from cost_models.closed_form.engine_records import EngineRecord
from cost_models.closed_form.layer_records import LayerRecord, RunRecord
from cost_models.mapping.mapping import LoopOrder

FIRST, MIDDLE, BODY, LAST = range(4)

ORDERS = tuple(LoopOrder)
"""Kernels know a loop order by its place here."""
PIXELS_OUTER, CHANNELS_OUTER, INPUTS_OUTER = range(3)

# At most 3 rows of padding: no tile but the first and last three along an axis touches it.
_BORDER_TILES = 3


class Sizes(NamedTuple):
    """A quantity of a full tile and of the last tile along an axis."""

    full: float
    last: float


class Split(NamedTuple):
    """An axis cut into tiles: their number, and the sizes of a full one and of the last one."""

    tiles: float
    sizes: Sizes


class Outputs(NamedTuple):
    """Output channels cut into tiles, and what these take.

    Attributes:
        tile: size of a full tile.
        tiles: number of tiles.
        groups: groups of channels computed at a time: of ``pe_rows``, or of ``depthwise_lanes``.
        words: bus words of one pixel of the results, or lines where they go to the map memory.
        inputs: the same of the ifmap, which is cut alike in channel-wise layers; else 0.
        weights: bytes of their weights in channel-wise layers; else for one group of ``pe_cols``.
        need: sums a bank for one group of pixels; ``whole_need`` those of all channels.
        lines: words a bank of the ifmap buffer for one position, in channel-wise layers.
    """

    tile: float
    tiles: float
    groups: Sizes
    words: Sizes
    inputs: Sizes
    weights: Sizes
    need: float
    whole_need: float
    lines: float


class Inputs(NamedTuple):
    """Input channels of a dense layer cut into tiles; of a channel-wise one a single tile of one.

    Attributes:
        tile, tiles: size of a full tile, and number of tiles.
        groups: groups of ``pe_cols`` channels.
        words: bus words of one pixel, or lines of the map memory.
        lines: words a bank of the ifmap buffer for one position.
    """

    tile: float
    tiles: float
    groups: Sizes
    words: Sizes
    lines: float


Classes = tuple[float, float, float, float]


class Halo(NamedTuple):
    """Rows or columns of the input that the tiles of an axis read.

    Attributes:
        read: by a mean tile of each class.
        covering: share of the tiles of each class that read the whole axis.
        total: by all tiles together.
    """

    read: Classes
    covering: Classes
    total: float


class Rows(NamedTuple):
    """Output rows of one run cut into tiles; ``need`` is the input rows that a full tile takes in the buffer."""

    tiles: float
    sizes: Sizes
    halo: Halo
    need: float
    repeats: float


class Cols(NamedTuple):
    """Output columns cut into tiles; groups are of ``pe_pixels``, ``need`` is words of a row in the ifmap buffer."""

    tiles: float
    sizes: Sizes
    groups: Sizes
    halo: Halo
    need: float


@compiled
def split(extent: float, tile: float) -> Split:
    """Return the tiles of ``tile`` units along ``extent``."""
    count = np.ceil(extent / tile)
    return Split(count, Sizes(min(tile, extent), extent - (count - 1) * tile))


@compiled
def size_of(sizes: Sizes, edge: int) -> float:
    """Return the quantity of a tile of a class."""
    return sizes.last if edge == LAST else sizes.full


@compiled
def sum_of(tiles: float, sizes: Sizes) -> float:
    """Return the sum of a quantity over all tiles of an axis."""
    return (tiles - 1) * sizes.full + sizes.last


@compiled
def grouped(sizes: Sizes, unit: float) -> Sizes:
    """Return the groups of ``unit`` that sizes take."""
    return Sizes(np.ceil(sizes.full / unit), np.ceil(sizes.last / unit))


@compiled
def outputs_of(layer: LayerRecord, engine: EngineRecord, tile: float) -> Outputs:
    """Return output channels in tiles of that size."""
    tiles, sizes = split(layer.out_channels, tile)
    words = grouped(sizes, engine.rows if layer.writes_map else engine.word)
    group_bytes = layer.kernel_height * layer.kernel_width * layer.weight_bytes
    inputs, lines = Sizes(0.0, 0.0), 0.0
    if layer.dense:
        groups = grouped(sizes, engine.rows)
        group_bytes *= engine.rows * engine.cols
    else:
        groups = grouped(sizes, engine.lanes)
        group_bytes *= 0.0 if layer.weightless else engine.lanes
        inputs = grouped(sizes, engine.line if layer.reads_map else engine.word)
        lines = np.ceil(sizes.full / engine.line)
    weights = sizes if layer.gate else Sizes(groups.full * group_bytes, groups.last * group_bytes)
    need, whole_need = np.ceil(sizes.full / engine.rows), np.ceil(layer.out_channels / engine.rows)
    return Outputs(tile, tiles, groups, words, inputs, weights, need, whole_need, lines)


@compiled
def inputs_of(layer: LayerRecord, engine: EngineRecord, tile: float) -> Inputs:
    """Return input channels in tiles of that size."""
    if not layer.dense:
        return Inputs(tile, 1.0, Sizes(1.0, 1.0), Sizes(0.0, 0.0), 0.0)
    tiles, sizes = split(layer.in_channels, tile)
    words = grouped(sizes, engine.line if layer.reads_map else engine.word)
    return Inputs(tile, tiles, grouped(sizes, engine.cols), words, np.ceil(sizes.full / engine.line))


@compiled
def rows_of(layer: LayerRecord, run: RunRecord, tile: float) -> Rows:
    """Return output rows of a run in tiles of that size."""
    cut = split(run.out_height, tile)
    halo = halo_of(cut, run.out_height, run.in_height, layer.kernel_height, layer.stride, run.top_padding)
    need = (cut.sizes.full - 1) * layer.stride + layer.kernel_height
    return Rows(cut.tiles, cut.sizes, halo, need, run.repeats)


@compiled
def cols_of(layer: LayerRecord, engine: EngineRecord, tile: float) -> Cols:
    """Return output columns in tiles of that size."""
    cut = split(layer.out_width, tile)
    halo = halo_of(cut, layer.out_width, layer.in_width, layer.kernel_width, layer.stride, layer.padding)
    in_cols = (cut.sizes.full - 1) * layer.stride + layer.kernel_width
    need = layer.stride * np.ceil(np.ceil(in_cols / layer.stride) / engine.pixels)
    return Cols(cut.tiles, cut.sizes, grouped(cut.sizes, engine.pixels), halo, need)


@compiled
def halo_of(cut: Split, out_extent: float, in_extent: float, kernel: float, stride: float, padding: float) -> Halo:
    """Return what the tiles of an axis read.

    Tile i of T outputs reads (T - 1) * stride + kernel inputs from i * T * stride - padding on, within the map.
    """
    count, step = cut.tiles, cut.sizes.full * stride
    total = (out_extent - count) * stride + count * kernel
    for tile in range(int(min(_BORDER_TILES, count))):
        total -= _outside_before(tile * step, padding)
        total -= _outside_beyond(cut, count - 1 - tile, out_extent, in_extent, kernel, stride, padding)
    covering = covering_first = covering_last = 0.0
    for tile in range(int(min(_BORDER_TILES + 1, count))):
        beyond = _end(cut, tile, out_extent, kernel, stride, padding) >= in_extent
        covers = 1.0 if beyond and tile * step <= padding else 0.0
        covering += covers
        covering_first = covers if tile == 0 else covering_first
    if _end(cut, count - 1, out_extent, kernel, stride, padding) >= in_extent and (count - 1) * step <= padding:
        covering_last = 1.0
    first_size = cut.sizes.last if count == 1 else cut.sizes.full
    first = (first_size - 1) * stride + kernel - _outside_before(0.0, padding)
    first -= _outside_beyond(cut, 0.0, out_extent, in_extent, kernel, stride, padding)
    last = (cut.sizes.last - 1) * stride + kernel - _outside_before((count - 1) * step, padding)
    last -= _outside_beyond(cut, count - 1, out_extent, in_extent, kernel, stride, padding)
    middle = (total - first - last) / (count - 2) if count > 2 else last
    body = (total - last) / (count - 1) if count > 1 else last
    covering_middle = (covering - covering_first - covering_last) / (count - 2) if count > 2 else covering_last
    covering_body = (covering - covering_last) / (count - 1) if count > 1 else covering_last
    read = (first, middle, body, last)
    return Halo(read, (covering_first, covering_middle, covering_body, covering_last), total)


@compiled
def _outside_before(start: float, padding: float) -> float:
    return max(padding - start, 0.0)


@compiled
def _end(cut: Split, tile: float, out_extent: float, kernel: float, stride: float, padding: float) -> float:
    return (min((tile + 1) * cut.sizes.full, out_extent) - 1) * stride - padding + kernel


@compiled
def _outside_beyond(
    cut: Split, tile: float, out_extent: float, in_extent: float, kernel: float, stride: float, padding: float
) -> float:
    return max(_end(cut, tile, out_extent, kernel, stride, padding) - in_extent, 0.0)
