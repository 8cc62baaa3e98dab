"""The tiles of an axis of a layer: their number, and what full tiles and the last one take.

Tiles of channels come in the classes BODY (all but the last: full tiles) and LAST. Tiles of pixels come also in FIRST
and MIDDLE, as what they read is clipped at the borders of the map; BODY is then the mean of both. Where an axis has a
single tile, all classes are that tile. All functions are compiled.
"""

from typing import NamedTuple

import numpy as np

from cost_models.closed_form.compiled import compiled
from cost_models.closed_form.records import EngineRecord, LayerRecord, RunRecord
from cost_models.mapping.mapping import LoopOrder

FIRST, MIDDLE, BODY, LAST = range(4)

ORDERS = tuple(LoopOrder)
"""Kernels know a loop order by its place here."""
PIXELS_OUTER, CHANNELS_OUTER, INPUTS_OUTER = range(3)


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
        groups: groups of channels computed at a time: of ``pe_rows``, or of ``lanes``.
        words: bus words of one pixel of the results, or lines where they go to the map memory.
        inputs: the same of the ifmap, which is cut alike in channel-wise layers; else 0.
        weights: words of the weight port that weights of 8 bits take: those of a channel-wise layer, or for one group
            of ``pe_cols`` input channels. Of 4 bits they are in whole lines of the weight buffer.
        weight_lines: lines of the weight buffer that these take in a full tile.
        need: sums a bank for one group of pixels; ``whole_need`` those of all channels.
        lines: words a bank of the ifmap buffer for one position, in channel-wise layers.
    """

    tile: float
    tiles: float
    groups: Sizes
    words: Sizes
    inputs: Sizes
    weights: Sizes
    weight_lines: float
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
    """Output rows of one run cut into tiles, and how many such runs there are."""

    tiles: float
    sizes: Sizes
    halo: Halo
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
    words = grouped(sizes, engine.pe_rows if layer.writes_map else engine.axi_bytes)
    line_words = engine.pe_rows * engine.pe_cols / engine.weight_port_bytes
    inputs, lines = Sizes(0.0, 0.0), 0.0
    if layer.dense:
        groups = grouped(sizes, engine.pe_rows)
        steps = Sizes(groups.full * layer.taps, groups.last * layer.taps)
        weights = Sizes(steps.full * line_words, steps.last * line_words)
    else:
        groups = grouped(sizes, engine.lanes)
        steps = grouped(Sizes(groups.full * layer.taps, groups.last * layer.taps), engine.channelwise_steps)
        inputs = grouped(sizes, engine.pe_cols if layer.reads_map else engine.axi_bytes)
        lines = np.ceil(sizes.full / engine.pe_cols)
        if layer.weightless:
            steps = weights = Sizes(0.0, 0.0)
        elif layer.gate:
            weights = grouped(sizes, engine.weight_port_bytes)
        elif layer.weight_bits == 4:
            weights = Sizes(steps.full * line_words, steps.last * line_words)
        else:
            weights_of_group = layer.taps * engine.lanes
            of_tile = Sizes(groups.full * weights_of_group, groups.last * weights_of_group)
            weights = grouped(of_tile, engine.weight_port_bytes)
    need, whole_need = np.ceil(sizes.full / engine.pe_rows), np.ceil(layer.out_channels / engine.pe_rows)
    return Outputs(tile, tiles, groups, words, inputs, weights, steps.full, need, whole_need, lines)


@compiled
def inputs_of(layer: LayerRecord, engine: EngineRecord, tile: float) -> Inputs:
    """Return input channels in tiles of that size."""
    if not layer.dense:
        return Inputs(tile, 1.0, Sizes(1.0, 1.0), Sizes(0.0, 0.0), 0.0)
    tiles, sizes = split(layer.in_channels, tile)
    words = grouped(sizes, engine.pe_cols if layer.reads_map else engine.axi_bytes)
    return Inputs(tile, tiles, grouped(sizes, engine.pe_cols), words, np.ceil(sizes.full / engine.pe_cols))


@compiled
def rows_of(layer: LayerRecord, run: RunRecord, tile: float) -> Rows:
    """Return output rows of a run in tiles of that size."""
    cut = split(run.out_height, tile)
    halo = halo_of(cut, run.in_height, layer.kernel_height, layer.stride, run.top_padding)
    return Rows(cut.tiles, cut.sizes, halo, run.repeats)


@compiled
def cols_of(layer: LayerRecord, engine: EngineRecord, tile: float) -> Cols:
    """Return output columns in tiles of that size."""
    cut = split(layer.out_width, tile)
    halo = halo_of(cut, layer.in_width, layer.kernel_width, layer.stride, layer.padding)
    in_cols = (cut.sizes.full - 1) * layer.stride + layer.kernel_width
    need = layer.stride * np.ceil(np.ceil(in_cols / layer.stride) / engine.pe_pixels)
    return Cols(cut.tiles, cut.sizes, grouped(cut.sizes, engine.pe_pixels), halo, need)


@compiled
def halo_of(cut: Split, in_extent: float, kernel: float, stride: float, padding: float) -> Halo:
    """Return what the tiles of an axis read.

    Tile i of T outputs reads (T - 1) * stride + kernel inputs from i * T * stride - padding on, within the map.
    """
    first = last = total = covering = 0.0
    for tile in range(int(cut.tiles)):
        begin = tile * cut.sizes.full * stride - padding
        size = cut.sizes.full if tile < cut.tiles - 1 else cut.sizes.last
        last = min(begin + (size - 1) * stride + kernel, in_extent) - max(begin, 0.0)
        first = last if tile == 0 else first
        total += last
        covering += 1.0 * (last == in_extent)
    shares = _means(cut.tiles, 1.0 * (first == in_extent), 1.0 * (last == in_extent), covering)
    return Halo(_means(cut.tiles, first, last, total), shares, total)


@compiled
def _means(tiles: float, first: float, last: float, total: float) -> Classes:
    """Return the mean of a quantity over the tiles of each class, from that of the first, the last and all tiles."""
    middle = (total - first - last) / (tiles - 2) if tiles > 2 else last
    body = (total - last) / (tiles - 1) if tiles > 1 else last
    return first, middle, body, last
