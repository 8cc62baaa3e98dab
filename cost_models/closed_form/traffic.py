"""Exact totals of a layer: the words that its ports move, and the iterations of its array.

They are products of what the tiles of channels take and of totals over all tiles of pixels; these, of totals over all
tiles of rows and of columns.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cost_models.closed_form.compiled import compiled
from cost_models.closed_form.latency import has_pixels_inside
from cost_models.closed_form.records import EngineRecord, LayerRecord
from cost_models.closed_form.slots import Tiling, weight_words, whole_tiles
from cost_models.closed_form.tiling import (
    BODY,
    INPUTS_OUTER,
    LAST,
    Cols,
    Inputs,
    Outputs,
    Rows,
    Sizes,
    cols_of,
    rows_of,
    sum_of,
)
from hw_templates.foundation.arrays import IntArray


class Traffic(NamedTuple):
    """Words that the ports move, each its own, and iterations of the compute pipeline.

    Where a map is in the map memory, its words are lines of that memory, and do not pass the DDR.

    Attributes:
        steps: number of tiles computed.
        ifmap_loads, weight_loads, stores: number of tiles in which each port is busy.
        ifmap_bursts, store_bursts: bursts that the loads of the ifmap and the stores take in memory.
    """

    iterations: float
    ifmap_words: float
    weight_words: float
    ofmap_words: float
    residual_words: float
    steps: float
    ifmap_loads: float
    weight_loads: float
    stores: float
    ifmap_bursts: float
    store_bursts: float


class Down(NamedTuple):
    """Sums over all tiles of rows, of one run or of all runs of a layer.

    Attributes:
        runs, tiles: how many there are.
        read, made: input rows that they read, and output rows.
    """

    runs: float
    tiles: float
    read: float
    made: float


class Across(NamedTuple):
    """Sums over all tiles of columns.

    Attributes:
        tiles: how many there are.
        read: input columns that they read.
        covering: tiles that read whole rows.
        groups: groups of ``pe_pixels`` output columns.
    """

    tiles: float
    read: float
    covering: float
    groups: float


class PixelTotals(NamedTuple):
    """Sums over all tiles of output pixels of a layer.

    Attributes:
        runs: of the layer.
        tiles: how many there are.
        area: input pixels that they read.
        in_bursts: bursts that read them where a tile has all channels.
        groups: groups of ``pe_pixels`` output pixels.
        outputs: output pixels.
        out_bursts: bursts that store them where a tile has all channels.
    """

    runs: float
    tiles: float
    area: float
    in_bursts: float
    groups: float
    outputs: float
    out_bursts: float


class Height(NamedTuple):
    """A height of a tile: the rows of each run cut into such tiles, and the sums over those of all runs."""

    rows: list[Rows]
    sums: Down


class Width(NamedTuple):
    """A width of a tile: the columns cut into such tiles, the sums over these, and the least for any smaller width."""

    cols: Cols
    sums: Across
    least: Across


class ChannelSums(NamedTuple):
    """Sums over all tiles of channels of a layer.

    Attributes:
        iterations: of the compute pipeline for one group of pixels.
        in_words: words of one input pixel.
        weight_words: of all weights.
        out_words: of one output pixel.
    """

    iterations: float
    in_words: float
    weight_words: float
    out_words: float


class ChannelTraffic(NamedTuple):
    """The traffic of tiles of channels in a loop order.

    Attributes:
        sums: over all tiles.
        ifmap_passes: how often the ifmap is loaded.
        steps, ifmap_loads, stores: for one tile of pixels.
        weight_loads: tiles of weights.
        stays: whether weights are loaded once a run, not once for each tile of pixels.
        whole_in, whole_out: see :class:`Tiling`.
    """

    sums: ChannelSums
    ifmap_passes: float
    steps: float
    ifmap_loads: float
    weight_loads: float
    stores: float
    stays: bool
    whole_in: bool
    whole_out: bool


@compiled
def heights_of(layer: LayerRecord, runs: NDArray[np.void]) -> list[Height]:
    """Return the heights 1, 2, ... up to that of the run of a layer that makes most rows."""
    heights = []
    for height in range(1, int(layer.most_rows) + 1):
        rows = [rows_of(layer, runs[run], float(height)) for run in range(layer.first_run, layer.end_run)]
        repeats = tiles = read = made = 0.0
        for run in rows:
            sums = down_of(run)
            repeats += run.repeats
            tiles += run.repeats * sums.tiles
            read += run.repeats * sums.read
            made += run.repeats * sums.made
        heights.append(Height(rows, Down(repeats, tiles, read, made)))
    return heights


@compiled
def widths_of(layer: LayerRecord, engine: EngineRecord) -> list[Width]:
    """Return the widths 1, 2, ... for a layer on an accelerator, of which only ``pe_pixels`` matters."""
    widths, read, groups = [], np.inf, np.inf
    for width in range(1, int(layer.out_width) + 1):
        cols = cols_of(layer, engine, float(width))
        sums = across_of(cols)
        read, groups = min(read, sums.read), min(groups, sums.groups)
        widths.append(Width(cols, sums, Across(sums.tiles, read, sums.tiles, groups)))
    return widths


@compiled
def least_size(layer: LayerRecord, extent: int) -> int:
    """Return the least rows or columns of a tile, of ``extent``, whose second one does not begin in the padding."""
    return max(1, min(extent, int(np.ceil(layer.padding / layer.stride))))


@compiled
def widest(
    layer: LayerRecord, engine: EngineRecord, widths: list[Width], words: float, sums: float, found: IntArray
) -> int:
    """Write the greatest width that fits, or 0, for each height to ``found``; return how many tiles of pixels fit.

    A position takes ``words`` of the ifmap buffer, and a group of pixels ``sums`` of the ofmap buffer. Tiles so small
    that a second one would begin in the padding are left out.
    """
    count, width = 0, len(widths)
    least_height, least_width = least_size(layer, len(found)), least_size(layer, width)
    found[: least_height - 1] = 0
    for index in range(least_height - 1, len(found)):
        lines, positions = words * (index * layer.stride + layer.kernel_height), sums * (index + 1)
        while width > 0:
            cols = widths[width - 1].cols
            if lines * cols.need <= engine.ifmap_depth and positions * cols.groups.full <= engine.ofmap_depth:
                break
            width -= 1
        if width < least_width:
            width = 0
        found[index] = width
        count += max(0, width - least_width + 1)
    return count


@compiled
def least_totals(layer: LayerRecord, heights: list[Height], widths: list[Width], fitting: IntArray) -> PixelTotals:
    """Return the least of each total over all tiles of pixels, each as wide as fits; inf where none does."""
    tiles = area = groups = bursts = np.inf
    outputs = heights[0].sums.made
    for height, width in enumerate(fitting):
        if width > 0:
            # The least height that fits is as wide as any.
            groups = min(groups, outputs * widths[width - 1].least.groups)
            down, across = heights[height].sums, widths[width - 1].least
            tiles, area = min(tiles, down.tiles * across.tiles), min(area, down.read * across.read)
            bursts = min(bursts, down.tiles if across.tiles == 1 else outputs * across.tiles)
    return PixelTotals(heights[0].sums.runs, tiles, area, tiles, groups, outputs * layer.out_width, bursts)


@compiled
def down_of(rows: Rows) -> Down:
    """Return the sums of one run."""
    return Down(1.0, rows.tiles, rows.halo.total, sum_of(rows.tiles, rows.sizes))


@compiled
def across_of(cols: Cols) -> Across:
    """Return the sums of columns."""
    covering = sum_of(cols.tiles, Sizes(cols.halo.covering[BODY], cols.halo.covering[LAST]))
    return Across(cols.tiles, cols.halo.total, covering, sum_of(cols.tiles, cols.groups))


@compiled
def pixel_totals(layer: LayerRecord, down: Down, across: Across) -> PixelTotals:
    """Return the totals of tiles of such rows and columns."""
    return PixelTotals(
        runs=down.runs,
        tiles=down.tiles * across.tiles,
        area=down.read * across.read,
        in_bursts=down.tiles * across.covering + down.read * (across.tiles - across.covering),
        groups=down.made * across.groups,
        outputs=down.made * layer.out_width,
        out_bursts=down.tiles if across.tiles == 1 else down.made * across.tiles,
    )


@compiled
def channel_sums(layer: LayerRecord, engine: EngineRecord, outputs: Outputs, inputs: Inputs) -> ChannelSums:
    """Return the sums over these tiles; no other cut has less than a single tile."""
    m, n = outputs.tiles - 1, inputs.tiles - 1
    words = weight_words(layer, engine, outputs, inputs, LAST, LAST)
    words += m * weight_words(layer, engine, outputs, inputs, BODY, LAST)
    words += n * weight_words(layer, engine, outputs, inputs, LAST, BODY)
    words += m * n * weight_words(layer, engine, outputs, inputs, BODY, BODY)
    return ChannelSums(
        iterations=sum_of(outputs.tiles, outputs.groups) * sum_of(inputs.tiles, inputs.groups) * layer.taps,
        in_words=sum_of(inputs.tiles, inputs.words) + sum_of(outputs.tiles, outputs.inputs),
        weight_words=words,
        out_words=sum_of(outputs.tiles, outputs.words),
    )


@compiled
def channel_traffic(
    layer: LayerRecord, sums: ChannelSums, outputs: float, inputs: float, order: int, stays: bool, reloads: bool
) -> ChannelTraffic:
    """Return the traffic of ``outputs`` tiles of output channels and ``inputs`` tiles of input channels.

    ``stays`` says whether weights stay while the pixels go by, and ``reloads`` whether the ifmap is then loaded for
    each tile of output channels.
    """
    again = layer.dense and (reloads or (inputs > 1 and order != INPUTS_OUTER))
    whole_in, whole_out = whole_tiles(layer, outputs, inputs, order)
    ifmap_passes, steps = outputs if again else 1.0, outputs * inputs
    return ChannelTraffic(
        sums=sums,
        ifmap_passes=ifmap_passes,
        steps=steps,
        ifmap_loads=(inputs if layer.dense else outputs) * ifmap_passes,
        weight_loads=0.0 if layer.weightless else steps,
        stores=1.0 if whole_out else outputs,
        stays=stays,
        whole_in=whole_in,
        whole_out=whole_out,
    )


@compiled
def moved_by(layer: LayerRecord, channels: ChannelTraffic, pixels: PixelTotals) -> Traffic:
    """Return the totals of tiles of these channels over all these tiles of pixels."""
    sums, weight_passes = channels.sums, pixels.runs if channels.stays else pixels.tiles
    ofmap_words = sums.out_words * pixels.outputs
    return Traffic(
        iterations=sums.iterations * pixels.groups,
        ifmap_words=sums.in_words * pixels.area * channels.ifmap_passes,
        weight_words=sums.weight_words * weight_passes,
        ofmap_words=ofmap_words,
        residual_words=ofmap_words if layer.residual else 0.0,
        steps=channels.steps * pixels.tiles,
        ifmap_loads=channels.ifmap_loads * pixels.tiles,
        weight_loads=channels.weight_loads * weight_passes,
        stores=channels.stores * pixels.tiles,
        ifmap_bursts=channels.ifmap_loads * (pixels.in_bursts if channels.whole_in else pixels.area),
        store_bursts=pixels.out_bursts if channels.whole_out else channels.stores * pixels.outputs,
    )


@compiled
def traffic_of(tiling: Tiling) -> Traffic:
    """Return the totals of one run of a layer."""
    layer, outputs, inputs, stays = tiling.layer, tiling.outputs, tiling.inputs, has_pixels_inside(tiling)
    sums = channel_sums(layer, tiling.engine, outputs, inputs)
    channels = channel_traffic(layer, sums, outputs.tiles, inputs.tiles, tiling.order, stays, stays)
    return moved_by(layer, channels, pixel_totals(layer, down_of(tiling.rows), across_of(tiling.cols)))
