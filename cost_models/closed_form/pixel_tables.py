"""Tables of the heights and widths of a tile of output pixels, and which of them fit the buffers."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cost_models.closed_form.compiled import compiled
from cost_models.closed_form.engine_records import EngineRecord
from cost_models.closed_form.layer_records import LayerRecord
from cost_models.closed_form.tiling import BODY, LAST, Cols, Rows, Sizes, cols_of, rows_of, sum_of
from cost_models.closed_form.traffic import PixelTotals
from hw_templates.foundation.arrays import FloatArray

_TILES, _HALO = 0, 1
_LEAST_HALO, _COVERING, _GROUPS, _LEAST_GROUPS, FULL_GROUPS, _NEED = range(2, 8)


class Heights(NamedTuple):
    """Heights of a tile, up to that of the run that makes most rows.

    Attributes:
        rows: [heights] the rows of each run, cut into tiles of height 1, 2, ...
        table: [2, heights] tiles, and input rows that they read, of all runs together.
        runs, outputs: all runs, and output rows, of the layer.
    """

    rows: list[list[Rows]]
    table: FloatArray
    runs: float
    outputs: float


class Widths(NamedTuple):
    """Widths of a tile.

    Attributes:
        cols: [widths] the columns, cut into tiles of width 1, 2, ...
        table: [8, widths] tiles; input columns that they read; the least of that for any width up to this; how many
            read whole rows; groups of ``pe_pixels`` columns of all; the least of that; groups of a full tile; and words
            that a row of it takes in the ifmap buffer.
    """

    cols: list[Cols]
    table: FloatArray


@compiled
def heights_of(layer: LayerRecord, runs: NDArray[np.void]) -> Heights:
    """Return the heights for a layer and its runs."""
    rows = [
        [rows_of(layer, runs[run], float(height)) for run in range(layer.first_run, layer.end_run)]
        for height in range(1, int(layer.most_rows) + 1)
    ]
    table = np.zeros((2, len(rows)))
    for index, cut in enumerate(rows):
        for run in cut:
            table[_TILES, index] += run.repeats * run.tiles
            table[_HALO, index] += run.repeats * run.halo.total
    repeats = outputs = 0.0
    for number in range(layer.first_run, layer.end_run):
        repeats += runs[number].repeats
        outputs += runs[number].repeats * runs[number].out_height
    return Heights(rows, table, repeats, outputs)


@compiled
def widths_of(layer: LayerRecord, engine: EngineRecord) -> Widths:
    """Return the widths for a layer on an accelerator, of which only ``pe_pixels`` matters."""
    cols = [cols_of(layer, engine, float(width)) for width in range(1, int(layer.out_width) + 1)]
    table = np.zeros((8, len(cols)))
    least_halo = least_groups = np.inf
    for index, cut in enumerate(cols):
        groups = sum_of(cut.tiles, cut.groups)
        least_halo, least_groups = min(least_halo, cut.halo.total), min(least_groups, groups)
        table[_TILES, index], table[_HALO, index], table[_LEAST_HALO, index] = cut.tiles, cut.halo.total, least_halo
        table[_COVERING, index] = sum_of(cut.tiles, Sizes(cut.halo.covering[BODY], cut.halo.covering[LAST]))
        table[_GROUPS, index], table[_LEAST_GROUPS, index] = groups, least_groups
        table[FULL_GROUPS, index], table[_NEED, index] = cut.groups.full, cut.need
    return Widths(cols, table)


@compiled
def _fits(engine: EngineRecord, across: FloatArray, lines: float, positions: float, width: int) -> bool:
    """Return whether a tile fits whose positions take ``lines`` of the ifmap buffer, groups of pixels ``positions``."""
    fits = lines * across[_NEED, width - 1] <= engine.ifmap_depth
    return bool(fits and positions * across[FULL_GROUPS, width - 1] <= engine.ofmap_depth)


@compiled
def widest(layer: LayerRecord, engine: EngineRecord, across: FloatArray, words: float, sums: float, height: int) -> int:
    """Return the greatest width that fits where a position takes ``words``, and a group of pixels ``sums``, or 0.

    ``across`` is the table of the widths.
    """
    lines, positions = words * ((height - 1) * layer.stride + layer.kernel_height), sums * height
    low, high = 0, across.shape[1]
    while low < high:
        middle = (low + high + 1) // 2
        if _fits(engine, across, lines, positions, middle):
            low = middle
        else:
            high = middle - 1
    return low


@compiled
def count_fitting(
    layer: LayerRecord, engine: EngineRecord, across: FloatArray, words: float, sums: float
) -> tuple[int, bool]:
    """Return (number of tiles of pixels that fit, whether the largest does); see :func:`widest`."""
    count, width = 0, widest(layer, engine, across, words, sums, 1)
    for height in range(1, int(layer.most_rows) + 1):
        lines, positions = words * ((height - 1) * layer.stride + layer.kernel_height), sums * height
        while width > 0 and not _fits(engine, across, lines, positions, width):
            width -= 1
        if width == 0:
            break
        count += width
    return count, width == across.shape[1]


@compiled
def least_totals(
    layer: LayerRecord, engine: EngineRecord, heights: Heights, across: FloatArray, words: float, sums: float
) -> PixelTotals:
    """Return the least of each total over all tiles of pixels that fit, inf where none does; see :func:`widest`."""
    down, outputs = heights.table, heights.outputs
    tiles = area = groups = bursts = np.inf
    width = widest(layer, engine, across, words, sums, 1)
    if width > 0:
        groups = outputs * across[_LEAST_GROUPS, width - 1]
    for height in range(1, down.shape[1] + 1):
        lines, positions = words * ((height - 1) * layer.stride + layer.kernel_height), sums * height
        while width > 0 and not _fits(engine, across, lines, positions, width):
            width -= 1
        if width == 0:
            break
        down_tiles, right = down[_TILES, height - 1], across[_TILES, width - 1]
        tiles = min(tiles, down_tiles * right)
        area = min(area, down[_HALO, height - 1] * across[_LEAST_HALO, width - 1])
        bursts = min(bursts, down_tiles if right == 1 else outputs * right)
    return PixelTotals(heights.runs, tiles, area, tiles, groups, outputs * layer.out_width, bursts)


@compiled
def totals_of(
    layer: LayerRecord, heights: Heights, across: FloatArray, height: int, width: int, below: bool
) -> PixelTotals:
    """Return totals of all runs with tiles of a height and width, or with ``below`` the least of any smaller width."""
    tiles, halo, right = heights.table[_TILES, height - 1], heights.table[_HALO, height - 1], across[_TILES, width - 1]
    outputs = heights.outputs
    if below:
        area, groups = halo * across[_LEAST_HALO, width - 1], outputs * across[_LEAST_GROUPS, width - 1]
        in_bursts = tiles * right
    else:
        area, groups = halo * across[_HALO, width - 1], outputs * across[_GROUPS, width - 1]
        covering = across[_COVERING, width - 1]
        in_bursts = tiles * covering + halo * (right - covering)
    out_bursts = tiles if right == 1 else outputs * right
    return PixelTotals(heights.runs, tiles * right, area, in_bursts, groups, outputs * layer.out_width, out_bursts)
