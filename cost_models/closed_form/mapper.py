"""The best mapping of each of many layers on its accelerator: of all that are legal, by branch and bound.

Mappings with as many tiles of either channels, in one loop order, are a family. Families are searched by their bounds,
the least first; then, for each size of their tiles of channels, the heights of a tile of pixels by theirs; then the
widths, the largest first. Where a bound shows that nothing is better than what was found, all that it bounds is left
out (:mod:`cost_models.closed_form.bound`).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cost_models.closed_form.bound import (
    Overlap,
    are_apart,
    least_across,
    least_at_ends,
    least_cycles,
    least_with_overlap,
    overlap_of,
    phases_of,
)
from cost_models.closed_form.compiled import compiled, kernel
from cost_models.closed_form.latency import slot_cycles
from cost_models.closed_form.records import EngineRecord, LayerRecord, LayerRecords
from cost_models.closed_form.slots import Tiling
from cost_models.closed_form.tiling import CHANNELS_OUTER, INPUTS_OUTER, ORDERS, Inputs, Outputs, inputs_of, outputs_of
from cost_models.closed_form.traffic import (
    ChannelSums,
    ChannelTraffic,
    Height,
    PixelTotals,
    Width,
    channel_sums,
    channel_traffic,
    down_of,
    heights_of,
    least_size,
    least_totals,
    moved_by,
    pixel_totals,
    widest,
    widths_of,
)
from cost_models.mapping.engine_limits import EXTENT_MAX
from hw_templates.foundation.arrays import IntArray

_ORDERS = len(ORDERS)
# Rounding may make a bound this much larger than the cycles that it bounds.
_ROUNDING = 1e-9

OUT_CHANNELS, IN_CHANNELS, HEIGHT, WIDTH, ORDER, CANDIDATES, CALCULATED = range(7)
"""Columns of what the search finds: the tile, 0 where nothing fits; the loop order; how many mappings are legal, and
for how many of them no lower bound showed that another is at least as good."""


class Channels(NamedTuple):
    """Tiles of channels in a loop order, and what they move.

    Attributes:
        words: words that a bank of the ifmap buffer holds for one position.
        sums: sums that a bank of the ofmap buffer holds for one group of pixels.
    """

    outputs: Outputs
    inputs: Inputs
    order: int
    traffic: ChannelTraffic
    words: float
    sums: float
    overlap: Overlap


def best_mappings(layers: LayerRecords, engines: NDArray[np.void], rows: IntArray, columns: IntArray) -> IntArray:
    """Return [cases, 7] the mapping of least latency of each case: layer ``rows[i]`` on accelerator ``columns[i]``.

    No legal mapping is better; of equal ones any may be found.
    """
    found = np.zeros((len(rows), 7), dtype=np.int64)
    # Cases of one layer, and of them those of as many pixels, share what tiles of pixels imply.
    cases = np.lexsort((engines["pe_pixels"][columns], rows))
    _search_all(layers.layers, layers.runs, engines, rows, columns, cases, found)
    return found


@compiled
def _cycles_of(
    layer: LayerRecord, engine: EngineRecord, channels: Channels, height: Height, width: Width, least: float
) -> float:
    """Return the cycles of all runs with rows cut as given; inf where a lower bound shows ``least`` or more."""
    first = second = 0.0
    cols, order = width.cols, channels.order
    for run in height.rows:
        tiling = Tiling(layer, engine, channels.outputs, channels.inputs, run, cols, order)
        moved = moved_by(layer, channels.traffic, pixel_totals(layer, down_of(run), width.sums))
        phases = phases_of(layer, engine, moved, 1.0)
        bound = max(
            least_with_overlap(engine, channels.overlap, moved, phases, run.sizes.full * cols.groups.full),
            least_across(tiling, channels.traffic, phases),
        )
        first += run.repeats * bound
        if first * (1 - _ROUNDING) >= least:
            return np.inf
        second += run.repeats * max(bound, least_at_ends(tiling, phases))
        if second * (1 - _ROUNDING) >= least:
            return np.inf
    cycles = 0.0
    for run in height.rows:
        tiling = Tiling(layer, engine, channels.outputs, channels.inputs, run, cols, order)
        cycles += run.repeats * slot_cycles(tiling)
    return cycles


@compiled
def _bound(
    layer: LayerRecord, engine: EngineRecord, traffic: ChannelTraffic, pixels: PixelTotals, apart: bool
) -> float:
    """Return the bound of mappings with this traffic of channels and these totals of pixels, or larger ones."""
    phases = phases_of(layer, engine, moved_by(layer, traffic, pixels), pixels.runs)
    return least_cycles(phases, apart) * (1 - _ROUNDING)


@compiled
def _search_pixels(
    layer: LayerRecord,
    engine: EngineRecord,
    channels: Channels,
    heights: list[Height],
    widths: list[Width],
    least: float,
    found: IntArray,
) -> float:
    """Search tiles of pixels that take less than ``least``; write the best to ``found`` and return its cycles."""
    traffic, apart = channels.traffic, channels.overlap.apart
    bounds, fitting = np.full(len(heights), np.inf), np.zeros(len(heights), dtype=np.int64)
    widest(layer, engine, widths, channels.words, channels.sums, fitting)
    if channels.order == CHANNELS_OUTER and fitting[-1] == len(widths):
        fitting[-1] -= 1
    for index, width in enumerate(fitting):
        if width > 0:
            totals = pixel_totals(layer, heights[index].sums, widths[width - 1].least)
            bounds[index] = _bound(layer, engine, traffic, totals, apart)
    best = int(bounds.argmin())
    while bounds[best] < least:
        height, below = heights[best], False
        for tried in range(int(fitting[best]), least_size(layer, len(widths)) - 1, -1):
            width = widths[tried - 1]
            if below:
                totals = pixel_totals(layer, height.sums, width.least)
                if _bound(layer, engine, traffic, totals, apart) >= least:
                    break
            totals = pixel_totals(layer, height.sums, width.sums)
            moved = moved_by(layer, traffic, totals)
            phases = phases_of(layer, engine, moved, totals.runs)
            groups = (best + 1) * width.cols.groups.full
            bound = least_with_overlap(engine, channels.overlap, moved, phases, groups)
            below = bound * (1 - _ROUNDING) >= least
            if below:
                continue
            cycles = _cycles_of(layer, engine, channels, height, width, least)
            found[CALCULATED] += cycles < np.inf
            if cycles < least:
                least = cycles
                found[OUT_CHANNELS] = int(channels.outputs.tile)
                found[IN_CHANNELS] = int(channels.inputs.tile if layer.dense else channels.outputs.tile)
                found[HEIGHT], found[WIDTH], found[ORDER] = best + 1, tried, channels.order
        bounds[best] = np.inf
        best = int(bounds.argmin())
    return least


@compiled
def _traffic_of(layer: LayerRecord, sums: ChannelSums, outputs: float, inputs: float, order: int) -> ChannelTraffic:
    stays = inputs == 1 and (outputs == 1 or order == CHANNELS_OUTER)
    # A run of one tile of pixels loads the ifmap once, whatever others do.
    reloads = stays and layer.end_run - layer.first_run == 1
    return channel_traffic(layer, sums, outputs, inputs, order, stays, reloads)


@compiled
def _channels_of(layer: LayerRecord, engine: EngineRecord, outputs: Outputs, inputs: Inputs, order: int) -> Channels:
    traffic = _traffic_of(layer, channel_sums(layer, engine, outputs, inputs), outputs.tiles, inputs.tiles, order)
    sums = outputs.whole_need if order == INPUTS_OUTER else outputs.need
    overlap = overlap_of(layer, engine, outputs, inputs, order)
    return Channels(outputs, inputs, order, traffic, outputs.lines + inputs.lines, sums, overlap)


@compiled
def _is_considered(order: int, is_dense: bool, outputs: float, inputs: float) -> bool:
    """Return whether a loop order loads or stores other tiles than those before it do, of several tiles of pixels."""
    if order == CHANNELS_OUTER:
        return outputs > 1 and inputs == 1
    return order != INPUTS_OUTER or (is_dense and outputs > 1)


@compiled
def _channels_fit(layer: LayerRecord, engine: EngineRecord, outputs: Outputs, inputs: Inputs) -> bool:
    """Return whether such tiles fit a descriptor, and their weights the weight buffer."""
    lines = outputs.weight_lines * inputs.groups.full
    fits = np.ceil(lines * layer.weight_bits / 8) <= engine.weight_depth
    return bool(fits and outputs.tile <= EXTENT_MAX and inputs.tile <= EXTENT_MAX)


@compiled
def _least_sizes(units: int) -> list[tuple[int, int]]:
    """Return (least, greatest) size that cuts an axis into each number of tiles, the fewest tiles first."""
    sizes, greatest = [(units, units)], units - 1
    while greatest > 0:
        tiles = -(-units // greatest)
        sizes.append((-(-units // tiles), greatest))
        greatest = sizes[-1][0] - 1
    return sizes


@compiled
def _families(
    layer: LayerRecord,
    engine: EngineRecord,
    heights: list[Height],
    widths: list[Width],
    all_outputs: list[Outputs],
    all_inputs: list[Inputs],
) -> tuple[list[float], list[tuple[tuple[int, int], tuple[int, int], int]]]:
    """Return the bound of each family of mappings, and its sizes of either channels and its order.

    A family has as many tiles of either channels, in one order. What fits its smallest tiles bounds what fits any.
    """
    bounds, families = [np.inf], [((0, 0), (0, 0), 0)]
    fitting = np.zeros(len(heights), dtype=np.int64)
    sums = channel_sums(layer, engine, all_outputs[-1], all_inputs[-1])
    for outs in _least_sizes(len(all_outputs)):
        for ins in _least_sizes(len(all_inputs)):
            outputs, inputs = all_outputs[outs[0] - 1], all_inputs[ins[0] - 1]
            if not _channels_fit(layer, engine, outputs, inputs):
                continue
            for order in range(_ORDERS):
                if not _is_considered(order, layer.dense, outputs.tiles, inputs.tiles):
                    continue
                need = outputs.whole_need if order == INPUTS_OUTER else outputs.need
                widest(layer, engine, widths, outputs.lines + inputs.lines, need, fitting)
                totals = least_totals(layer, heights, widths, fitting)
                if totals.tiles < np.inf:
                    traffic = _traffic_of(layer, sums, outputs.tiles, inputs.tiles, order)
                    bounds.append(_bound(layer, engine, traffic, totals, are_apart(outputs.tiles, order)))
                    families.append((outs, ins, order))
    return bounds, families


@compiled
def _count_legal(
    layer: LayerRecord,
    engine: EngineRecord,
    widths: list[Width],
    all_outputs: list[Outputs],
    all_inputs: list[Inputs],
) -> int:
    """Return the number of mappings that are considered."""
    legal, fits = 0, np.zeros(int(layer.most_rows), dtype=np.int64)
    kept = np.zeros(len(all_inputs), dtype=np.int64)
    if layer.dense and len(all_outputs) > 1:
        for n, inputs in enumerate(all_inputs):
            kept[n] = widest(layer, engine, widths, inputs.lines, all_outputs[-1].need, fits)
    for outputs in all_outputs:
        words, fitting, whole = -1.0, 0, False
        for n, inputs in enumerate(all_inputs):
            if not _channels_fit(layer, engine, outputs, inputs):
                break
            if outputs.lines + inputs.lines != words:
                words = outputs.lines + inputs.lines
                fitting = widest(layer, engine, widths, words, outputs.need, fits)
                whole = fits[-1] == len(widths)
            legal += fitting
            if outputs.tiles > 1:
                legal += kept[n]
                if inputs.tiles == 1:
                    legal += fitting - whole
    return legal


@compiled
def _search(
    layer: LayerRecord, engine: EngineRecord, heights: list[Height], widths: list[Width], found: IntArray
) -> None:
    """Write the best mapping of a layer on an accelerator to ``found`` [7], as :func:`best_mappings` returns it."""
    out_unit, in_units = engine.pe_rows, 1
    if layer.dense:
        in_units = int(np.ceil(layer.in_channels / engine.pe_cols))
    else:
        out_unit = engine.channelwise_steps
    out_units = int(np.ceil(layer.out_channels / out_unit))
    all_outputs = [outputs_of(layer, engine, out_unit * size) for size in range(1, out_units + 1)]
    all_inputs = [inputs_of(layer, engine, engine.pe_cols * size) for size in range(1, in_units + 1)]
    found[CANDIDATES] = _count_legal(layer, engine, widths, all_outputs, all_inputs)
    found_bounds, families = _families(layer, engine, heights, widths, all_outputs, all_inputs)
    least, bounds = np.inf, np.array(found_bounds)
    best = bounds.argmin()
    while bounds[best] < least:
        outs, ins, order = families[best]
        for out in range(outs[0], outs[1] + 1):
            for into in range(ins[0], ins[1] + 1):
                outputs, inputs = all_outputs[out - 1], all_inputs[into - 1]
                if not _channels_fit(layer, engine, outputs, inputs):
                    break
                channels = _channels_of(layer, engine, outputs, inputs, order)
                least = _search_pixels(layer, engine, channels, heights, widths, least, found)
        bounds[best] = np.inf
        best = bounds.argmin()


@kernel
def _search_all(
    layers: NDArray[np.void],
    runs: NDArray[np.void],
    engines: NDArray[np.void],
    rows: IntArray,
    columns: IntArray,
    cases: IntArray,
    found: IntArray,
) -> None:
    if len(cases) == 0:
        return
    before = cases[0]
    heights = heights_of(layers[rows[before]], runs)
    widths = widths_of(layers[rows[before]], engines[columns[before]])
    for case in cases:
        layer, engine = layers[rows[case]], engines[columns[case]]
        if rows[case] != rows[before]:
            heights = heights_of(layer, runs)
        if rows[case] != rows[before] or engine.pe_pixels != engines[columns[before]].pe_pixels:
            widths = widths_of(layer, engine)
        _search(layer, engine, heights, widths, found[case])
        before = case
