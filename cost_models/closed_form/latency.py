"""Cycles of a layer in closed form.

The engine runs a layer's steps through load, compute and store in lock step (see ``hw_templates/conv_engine``): slot i
loads tile i, computes tile i-1 and stores what tile i-2 finished (:mod:`cost_models.closed_form.slots`). This is the
pipeline of Zhang et al., "Optimizing FPGA-based accelerator design for deep convolutional neural networks" (FPGA 2015),
with the slots of unlike tiles counted apart.

Steps follow each other in passes of the innermost loop that has more than one tile. A pass has four kinds of slots: the
first, in which the last tile of the pass before is still computed; the second, in which that tile is stored; those in
the middle; and the last, whose load is that of a last tile. Passes differ with the class (body, last) of the tiles of
the outer loops. The first two slots of a layer and two more after its last step are the fill and drain of the pipeline.

A layer that runs band by band is a layer for each band. All functions are compiled.
"""

from typing import NamedTuple

import numpy as np

from cost_models.closed_form.compiled import compiled
from cost_models.closed_form.engine_records import EngineRecord
from cost_models.closed_form.layer_records import LayerRecord
from cost_models.closed_form.slots import (
    NOTHING,
    Pixels,
    Tiling,
    Work,
    beside,
    computation,
    ifmap_load,
    pixels_of,
    slot_of,
    store,
    weight_load,
)
from cost_models.closed_form.tiling import BODY, FIRST, LAST, MIDDLE, Cols, Inputs, Outputs, Rows
from cost_models.mapping.mapping import LoopOrder
from hw_templates.conv_engine import isa

ORDERS = tuple(LoopOrder)
"""Kernels know a loop order by its place here."""
PIXELS_OUTER, CHANNELS_OUTER, INPUTS_OUTER = range(3)

RUN_BURSTS = 2
"""Parameters and table."""
_PARAMETER_BYTES, _DESCRIPTOR_BYTES = float(isa.CHANNEL_PARAMETERS.itemsize), float(isa.DESCRIPTOR.itemsize)


class Pass(NamedTuple):
    """One pass of the inner loop, for one class of the outer loops.

    Attributes:
        steps: of a pass, two or more.
        first, middle, last: loads of the first, a middle and the last step.
        compute: of a step that is not the last.
        others: what is computed and stored in each slot after the second.
        computed, stored: what is left of the pass in the two slots that follow it.
    """

    steps: float
    first: Work
    middle: Work
    last: Work
    compute: Work
    others: Work
    computed: Work
    stored: Work


class Progress(NamedTuple):
    """How far a layer has come.

    Attributes:
        cycles: of all slots so far, beside what every slot begins with.
        steps: how many tiles were loaded.
        computed, stored: what is left of the last pass for the next two slots.
    """

    cycles: float
    steps: float
    computed: Work
    stored: Work


@compiled
def _run(one: Pass, repeats: float, before: Progress, access: float) -> Progress:
    """So many passes that are alike, after what came before."""
    second = beside(one.last if one.steps == 2 else one.middle, one.compute)
    rest = 0.0
    if one.steps > 2:
        rest = (one.steps - 3) * slot_of(beside(one.middle, one.others), access)
        rest += slot_of(beside(one.last, one.others), access)
    cycles = before.cycles + rest
    cycles += slot_of(beside(one.first, before.computed), access) + slot_of(beside(second, before.stored), access)
    if repeats > 1:
        again = slot_of(beside(one.first, one.computed), access) + slot_of(beside(second, one.stored), access)
        cycles += (repeats - 1) * (again + rest)
    return Progress(cycles, before.steps + repeats * one.steps, one.computed, one.stored)


@compiled
def _repeat(once: Progress, twice: Progress, times: float) -> Progress:
    """A sequence run so many times, of what it took the first and the second time."""
    cycles = once.cycles + (times - 1) * (twice.cycles - once.cycles)
    steps = once.steps + (times - 1) * (twice.steps - once.steps)
    return Progress(cycles, steps, once.computed, once.stored)


@compiled
def _single_step(layer: LayerRecord, engine: EngineRecord, tiling: Tiling) -> float:
    """Everything fits one tile."""
    tile = pixels_of(layer, tiling, LAST, LAST)
    load = beside(ifmap_load(layer, engine, tiling, LAST, LAST, tile), weight_load(layer, engine, tiling, LAST, LAST))
    cycles = slot_of(load, engine.access)
    cycles += slot_of(computation(layer, engine, tiling, LAST, LAST, tile, True), engine.access)
    return cycles + slot_of(store(layer, engine, tiling, LAST, tile), engine.access) + 3 * engine.slot


@compiled
def _over_channels(layer: LayerRecord, engine: EngineRecord, tiling: Tiling, tile: Pixels) -> Pass:
    """Output channels inside, one tile of input channels: weights change in every step, a dense ifmap does not."""
    kept = NOTHING if layer.dense else ifmap_load(layer, engine, tiling, BODY, LAST, tile)
    last_kept = NOTHING if layer.dense else ifmap_load(layer, engine, tiling, LAST, LAST, tile)
    weights = weight_load(layer, engine, tiling, BODY, LAST)
    compute = computation(layer, engine, tiling, BODY, LAST, tile, True)
    stored = store(layer, engine, tiling, BODY, tile)
    return Pass(
        tiling.outputs.tiles,
        beside(ifmap_load(layer, engine, tiling, BODY, LAST, tile), weights),
        beside(kept, weights),
        beside(last_kept, weight_load(layer, engine, tiling, LAST, LAST)),
        compute,
        beside(compute, stored),
        beside(computation(layer, engine, tiling, LAST, LAST, tile, True), stored),
        store(layer, engine, tiling, LAST, tile),
    )


@compiled
def _over_inputs(layer: LayerRecord, engine: EngineRecord, tiling: Tiling, m: int, tile: Pixels) -> Pass:
    """Input channels inside: both tiles change in every step; results are stored after the last of them."""
    load = beside(ifmap_load(layer, engine, tiling, m, BODY, tile), weight_load(layer, engine, tiling, m, BODY))
    last = beside(ifmap_load(layer, engine, tiling, m, LAST, tile), weight_load(layer, engine, tiling, m, LAST))
    compute = computation(layer, engine, tiling, m, BODY, tile, False)
    return Pass(
        tiling.inputs.tiles,
        load,
        load,
        last,
        compute,
        compute,
        computation(layer, engine, tiling, m, LAST, tile, True),
        store(layer, engine, tiling, m, tile),
    )


@compiled
def _over_kept_sums(layer: LayerRecord, engine: EngineRecord, tiling: Tiling, n: int, tile: Pixels) -> Pass:
    """Output channels inside tiles of input channels: sums of all of them stay, and are stored after the very last."""
    weights = weight_load(layer, engine, tiling, BODY, n)
    compute = computation(layer, engine, tiling, BODY, n, tile, False)
    return Pass(
        tiling.outputs.tiles,
        beside(ifmap_load(layer, engine, tiling, BODY, n, tile), weights),
        weights,
        weight_load(layer, engine, tiling, LAST, n),
        compute,
        compute,
        computation(layer, engine, tiling, LAST, n, tile, n == LAST),
        store(layer, engine, tiling, LAST, tile) if n == LAST else NOTHING,
    )


@compiled
def _over_pixels(layer: LayerRecord, engine: EngineRecord, tiling: Tiling, m: int, row: int, by_rows: bool) -> Pass:
    """Pixels inside, of output channels of class m: a column of tiles, or a row of them.

    Weights are loaded when the first line of tiles begins.
    """
    if by_rows:
        count = tiling.rows.tiles
        first, middle = pixels_of(layer, tiling, FIRST, LAST), pixels_of(layer, tiling, MIDDLE, LAST)
        last = pixels_of(layer, tiling, LAST, LAST)
    else:
        count = tiling.cols.tiles
        first, middle = pixels_of(layer, tiling, row, FIRST), pixels_of(layer, tiling, row, MIDDLE)
        last = pixels_of(layer, tiling, row, LAST)
    first_load = ifmap_load(layer, engine, tiling, m, LAST, first)
    if row == FIRST:
        first_load = beside(first_load, weight_load(layer, engine, tiling, m, LAST))
    compute = computation(layer, engine, tiling, m, LAST, middle, True)
    stored = store(layer, engine, tiling, m, middle)
    return Pass(
        count,
        first_load,
        ifmap_load(layer, engine, tiling, m, LAST, middle),
        ifmap_load(layer, engine, tiling, m, LAST, last),
        compute,
        beside(compute, stored),
        beside(computation(layer, engine, tiling, m, LAST, last, True), stored),
        store(layer, engine, tiling, m, last),
    )


@compiled
def _pixel_lines(layer: LayerRecord, engine: EngineRecord, tiling: Tiling, m: int, before: Progress) -> Progress:
    """All pixels for output channels of class m."""
    if tiling.cols.tiles == 1:
        return _run(_over_pixels(layer, engine, tiling, m, FIRST, True), 1.0, before, engine.access)
    done = _run(_over_pixels(layer, engine, tiling, m, FIRST, False), 1.0, before, engine.access)
    down = tiling.rows.tiles
    if down > 2:
        done = _run(_over_pixels(layer, engine, tiling, m, MIDDLE, False), down - 2, done, engine.access)
    if down > 1:
        done = _run(_over_pixels(layer, engine, tiling, m, LAST, False), 1.0, done, engine.access)
    return done


@compiled
def _pixels_inside(layer: LayerRecord, engine: EngineRecord, tiling: Tiling, start: Progress) -> Progress:
    """One tile of input channels, pixels inside: weights stay while the pixels go by."""
    done = start
    if tiling.outputs.tiles > 1:
        once = _pixel_lines(layer, engine, tiling, BODY, done)
        twice = _pixel_lines(layer, engine, tiling, BODY, once)
        done = _repeat(once, twice, tiling.outputs.tiles - 1)
    return _pixel_lines(layer, engine, tiling, LAST, done)


@compiled
def _channel_passes(
    layer: LayerRecord, engine: EngineRecord, tiling: Tiling, order: int, tile: Pixels, repeats: float, before: Progress
) -> Progress:
    """So many tiles of pixels, each with all channels."""
    access = engine.access
    if order == INPUTS_OUTER and tiling.outputs.tiles > 1:
        last = _over_kept_sums(layer, engine, tiling, LAST, tile)
        if tiling.inputs.tiles == 1:
            return _run(last, repeats, before, access)
        body = _over_kept_sums(layer, engine, tiling, BODY, tile)
        once = _run(last, 1.0, _run(body, tiling.inputs.tiles - 1, before, access), access)
        if repeats == 1:
            return once
        twice = _run(last, 1.0, _run(body, tiling.inputs.tiles - 1, once, access), access)
        return _repeat(once, twice, repeats)
    if tiling.inputs.tiles == 1:
        return _run(_over_channels(layer, engine, tiling, tile), repeats, before, access)
    done = before
    if tiling.outputs.tiles > 1:
        again = (tiling.outputs.tiles - 1) * repeats
        done = _run(_over_inputs(layer, engine, tiling, BODY, tile), again, done, access)
    return _run(_over_inputs(layer, engine, tiling, LAST, tile), repeats, done, access)


@compiled
def _row_of_tiles(
    layer: LayerRecord, engine: EngineRecord, tiling: Tiling, order: int, row: int, before: Progress
) -> Progress:
    """A row of tiles of pixels, each with all channels."""
    done = before
    if tiling.cols.tiles > 1:
        tile = pixels_of(layer, tiling, row, BODY)
        done = _channel_passes(layer, engine, tiling, order, tile, tiling.cols.tiles - 1, done)
    return _channel_passes(layer, engine, tiling, order, pixels_of(layer, tiling, row, LAST), 1.0, done)


@compiled
def _channels_inside(layer: LayerRecord, engine: EngineRecord, tiling: Tiling, order: int, start: Progress) -> Progress:
    """Pixels outside, channels inside."""
    done = start
    if tiling.rows.tiles > 1:
        once = _row_of_tiles(layer, engine, tiling, order, BODY, done)
        twice = once
        if tiling.rows.tiles > 2:
            twice = _row_of_tiles(layer, engine, tiling, order, BODY, once)
        done = _repeat(once, twice, tiling.rows.tiles - 1)
    return _row_of_tiles(layer, engine, tiling, order, LAST, done)


@compiled
def whole_tiles(layer: LayerRecord, outputs: float, inputs: float, order: int) -> tuple[bool, bool]:
    """Whether a tile that is loaded, and one that is stored, has all channels, of so many tiles of either channels."""
    whole_in = inputs == 1 if layer.dense else outputs == 1
    return whole_in, outputs == 1 or order == INPUTS_OUTER


@compiled
def tiling_of(outputs: Outputs, inputs: Inputs, rows: Rows, cols: Cols, layer: LayerRecord, order: int) -> Tiling:
    """The tiles of a mapping."""
    whole_in, whole_out = whole_tiles(layer, outputs.tiles, inputs.tiles, order)
    return Tiling(outputs, inputs, rows, cols, whole_in, whole_out)


@compiled
def has_pixels_inside(tiling: Tiling, order: int) -> bool:
    """Whether the innermost loop with more than one tile is that over pixels, which keeps the weights."""
    many_pixels = tiling.rows.tiles > 1 or tiling.cols.tiles > 1
    return many_pixels and tiling.inputs.tiles == 1 and (tiling.outputs.tiles == 1 or order == CHANNELS_OUTER)


@compiled
def slot_cycles(layer: LayerRecord, engine: EngineRecord, tiling: Tiling, order: int) -> float:
    """Cycles of one run of a layer without its setup."""
    many_out, many_in = tiling.outputs.tiles > 1, tiling.inputs.tiles > 1
    if not (many_out or many_in or tiling.rows.tiles > 1 or tiling.cols.tiles > 1):
        return _single_step(layer, engine, tiling)
    start = Progress(0.0, 0.0, NOTHING, NOTHING)
    if has_pixels_inside(tiling, order):
        done = _pixels_inside(layer, engine, tiling, start)
    else:
        done = _channels_inside(layer, engine, tiling, order, start)
    drained = slot_of(done.computed, engine.access) + slot_of(done.stored, engine.access)
    return done.cycles + drained + (done.steps + 2) * engine.slot


@compiled
def setup_words(layer: LayerRecord, engine: EngineRecord, runs: float) -> float:
    """Words of the weight port: the descriptor, and channel parameters and activation table for each run."""
    parameters: float = np.ceil(layer.out_channels / engine.word) * engine.word * _PARAMETER_BYTES
    return (runs * (parameters + isa.TABLE_BYTES) + _DESCRIPTOR_BYTES) / engine.weight_word


@compiled
def setup_cycles(layer: LayerRecord, engine: EngineRecord, runs: float) -> float:
    """What a layer takes before the first slots of its runs."""
    bursts = runs * RUN_BURSTS + 1
    overhead = runs * engine.setup + bursts * (engine.access + engine.burst)
    return setup_words(layer, engine, runs) * max(1.0, engine.ddr_cycles_per_weight_word) + overhead
