"""What cutting an axis of a layer into tiles implies: how many there are, and what the full and the last ones take.

Tiles of channels come in the classes BODY (all but the last: full tiles) and LAST. Tiles of pixels come also in FIRST
and MIDDLE, as what they read is clipped at the borders of the map; BODY is then the mean of both. Where an axis has a
single tile, all classes are that tile. All functions are compiled.
"""

from typing import NamedTuple

import numpy as np

from cost_models.closed_form.compiled import compiled
from cost_models.closed_form.engine_records import EngineRecord
from cost_models.closed_form.layer_records import LayerRecord, RunRecord

FIRST, MIDDLE, BODY, LAST = 0, 1, 2, 3

# At most 3 rows of padding: no tile but the first and last three along an axis touches it.
_BORDER_TILES = 3


class Split(NamedTuple):
    """An axis cut into so many ``tiles``: sizes of the full ones and of the last one."""

    tiles: float
    full: float
    last: float


class Outputs(NamedTuple):
    """Output channels cut into tiles, and what goes with them; pairs are of a full and of the last tile.

    Attributes:
        tile: size of a full tile.
        tiles: how many there are.
        full_groups, last_groups: of channels computed at a time: of ``pe_rows``, or of ``depthwise_lanes``.
        full_words, last_words: bus words of one pixel of the results, or lines where they go to the map memory.
        full_inputs, last_inputs: the same of the ifmap, which is cut alike in channel-wise layers; else 0.
        full_weights, last_weights: bytes of their weights in channel-wise layers; else for one group of ``pe_cols``.
        need: sums a bank for one group of pixels; ``whole_need`` those of all channels.
        lines: words a bank of the ifmap buffer for one position, in channel-wise layers.
    """

    tile: float
    tiles: float
    full_groups: float
    last_groups: float
    full_words: float
    last_words: float
    full_inputs: float
    last_inputs: float
    full_weights: float
    last_weights: float
    need: float
    whole_need: float
    lines: float


class Inputs(NamedTuple):
    """Input channels of a dense layer cut into tiles; of a channel-wise one a single tile of one.

    Attributes:
        tile, tiles: size of a full tile, and how many there are.
        full_groups, last_groups: of ``pe_cols`` channels.
        full_words, last_words: bus words of one pixel, or lines of the map memory.
        lines: words a bank of the ifmap buffer for one position.
    """

    tile: float
    tiles: float
    full_groups: float
    last_groups: float
    full_words: float
    last_words: float
    lines: float


class Halo(NamedTuple):
    """Rows or columns of the input that the tiles of an axis read: a mean tile of each class, and all together.

    ``covering`` is the share of the tiles of a class that read the whole axis.
    """

    first: float
    middle: float
    body: float
    last: float
    total: float
    covering_first: float
    covering_middle: float
    covering_body: float
    covering_last: float


class Rows(NamedTuple):
    """Output rows of one run cut into tiles; ``need`` is how many input rows a full tile takes in the buffer."""

    tile: float
    tiles: float
    full: float
    last: float
    halo: Halo
    need: float
    repeats: float


class Cols(NamedTuple):
    """Output columns cut into tiles; groups are of ``pe_pixels``, ``need`` is words of a row in the ifmap buffer."""

    tile: float
    tiles: float
    full: float
    last: float
    full_groups: float
    last_groups: float
    halo: Halo
    need: float


@compiled
def split(extent: float, tile: float) -> Split:
    """Tiles of ``tile`` units along ``extent``."""
    count = np.ceil(extent / tile)
    return Split(count, min(tile, extent), extent - (count - 1) * tile)


@compiled
def sum_of(tiles: float, full: float, last: float) -> float:
    """Over all tiles of an axis."""
    return (tiles - 1) * full + last


@compiled
def outputs_of(layer: LayerRecord, engine: EngineRecord, tile: float) -> Outputs:
    """Output channels in tiles of that size."""
    cut = split(layer.out_channels, tile)
    out_unit = engine.rows if layer.writes_map else engine.word
    full_inputs = last_inputs = lines = 0.0
    if layer.dense:
        full_groups, last_groups = np.ceil(cut.full / engine.rows), np.ceil(cut.last / engine.rows)
        group_bytes = layer.kernel_height * layer.kernel_width * layer.weight_bytes * engine.rows * engine.cols
        full_weights, last_weights = full_groups * group_bytes, last_groups * group_bytes
    else:
        in_unit = engine.line if layer.reads_map else engine.word
        full_inputs, last_inputs = np.ceil(cut.full / in_unit), np.ceil(cut.last / in_unit)
        lines = np.ceil(cut.full / engine.line)
        full_groups, last_groups = np.ceil(cut.full / engine.lanes), np.ceil(cut.last / engine.lanes)
        full_weights, last_weights = cut.full, cut.last
        if layer.weightless:
            full_weights = last_weights = 0.0
        elif not layer.gate:
            group_bytes = layer.kernel_height * layer.kernel_width * layer.weight_bytes * engine.lanes
            full_weights, last_weights = full_groups * group_bytes, last_groups * group_bytes
    return Outputs(
        tile,
        cut.tiles,
        full_groups,
        last_groups,
        np.ceil(cut.full / out_unit),
        np.ceil(cut.last / out_unit),
        full_inputs,
        last_inputs,
        full_weights,
        last_weights,
        np.ceil(cut.full / engine.rows),
        np.ceil(layer.out_channels / engine.rows),
        lines,
    )


@compiled
def inputs_of(layer: LayerRecord, engine: EngineRecord, tile: float) -> Inputs:
    """Input channels in tiles of that size."""
    if not layer.dense:
        return Inputs(tile, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0)
    cut = split(layer.in_channels, tile)
    unit = engine.line if layer.reads_map else engine.word
    return Inputs(
        tile,
        cut.tiles,
        np.ceil(cut.full / engine.cols),
        np.ceil(cut.last / engine.cols),
        np.ceil(cut.full / unit),
        np.ceil(cut.last / unit),
        np.ceil(cut.full / engine.line),
    )


@compiled
def rows_of(layer: LayerRecord, run: RunRecord, tile: float) -> Rows:
    """Output rows of a run in tiles of that size."""
    cut = split(run.out_height, tile)
    halo = halo_of(cut, run.out_height, run.in_height, layer.kernel_height, layer.stride, run.top_padding)
    need = (cut.full - 1) * layer.stride + layer.kernel_height
    return Rows(tile, cut.tiles, cut.full, cut.last, halo, need, run.repeats)


@compiled
def cols_of(layer: LayerRecord, engine: EngineRecord, tile: float) -> Cols:
    """Output columns in tiles of that size."""
    cut = split(layer.out_width, tile)
    halo = halo_of(cut, layer.out_width, layer.in_width, layer.kernel_width, layer.stride, layer.padding)
    in_cols = (cut.full - 1) * layer.stride + layer.kernel_width
    return Cols(
        tile,
        cut.tiles,
        cut.full,
        cut.last,
        np.ceil(cut.full / engine.pixels),
        np.ceil(cut.last / engine.pixels),
        halo,
        layer.stride * np.ceil(np.ceil(in_cols / layer.stride) / engine.pixels),
    )


@compiled
def halo_of(cut: Split, out_extent: float, in_extent: float, kernel: float, stride: float, padding: float) -> Halo:
    """Tile i of T outputs reads (T - 1) * stride + kernel inputs from i * T * stride - padding on, within the map."""
    count, step = cut.tiles, cut.full * stride
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
    first_size = cut.last if count == 1 else cut.full
    first = (first_size - 1) * stride + kernel - _outside_before(0.0, padding)
    first -= _outside_beyond(cut, 0.0, out_extent, in_extent, kernel, stride, padding)
    last = (cut.last - 1) * stride + kernel - _outside_before((count - 1) * step, padding)
    last -= _outside_beyond(cut, count - 1, out_extent, in_extent, kernel, stride, padding)
    middle = (total - first - last) / (count - 2) if count > 2 else last
    body = (total - last) / (count - 1) if count > 1 else last
    covering_middle = (covering - covering_first - covering_last) / (count - 2) if count > 2 else covering_last
    covering_body = (covering - covering_last) / (count - 1) if count > 1 else covering_last
    return Halo(
        first,
        middle,
        body,
        last,
        total,
        covering_first,
        covering_middle,
        covering_body,
        covering_last,
    )


@compiled
def _outside_before(start: float, padding: float) -> float:
    return max(padding - start, 0.0)


@compiled
def _end(cut: Split, tile: float, out_extent: float, kernel: float, stride: float, padding: float) -> float:
    return (min((tile + 1) * cut.full, out_extent) - 1) * stride - padding + kernel


@compiled
def _outside_beyond(
    cut: Split, tile: float, out_extent: float, in_extent: float, kernel: float, stride: float, padding: float
) -> float:
    return max(_end(cut, tile, out_extent, kernel, stride, padding) - in_extent, 0.0)
