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
from cost_models.closed_form.records import EngineRecord, LayerRecord
from cost_models.closed_form.slots import (
    NOTHING,
    Busy,
    Pixels,
    Tiling,
    computation,
    ifmap_load,
    load,
    pixels_of,
    slot_of,
    store,
    together,
    weight_load,
)
from cost_models.closed_form.tiling import BODY, CHANNELS_OUTER, FIRST, INPUTS_OUTER, LAST, MIDDLE
from hw_templates.conv_engine import isa

RUN_BURSTS = 2
"""Descriptor and parameters."""
_PARAMETER_BYTES, _DESCRIPTOR_BYTES = float(isa.PARAMETERS.itemsize), float(isa.DESCRIPTOR_BYTES)


class Pass(NamedTuple):
    """One pass of the inner loop, for one class of the outer loops.

    Attributes:
        steps: number of steps, two or more.
        first, middle, last: loads of the first, a middle and the last step.
        compute, stored: computation of a step that is not the last, and what is stored of it in the slot behind.
        last_compute, last_stored: the same of the last step, left for the two slots that follow the pass.
    """

    steps: float
    first: Busy
    middle: Busy
    last: Busy
    compute: Busy
    stored: Busy
    last_compute: Busy
    last_stored: Busy


class PipelineState(NamedTuple):
    """The state of the pipeline after some passes.

    Attributes:
        cycles: of all slots so far, without the overhead of each slot.
        steps: number of tiles loaded.
        computed, stored: what is left of the last pass for the next two slots.
    """

    cycles: float
    steps: float
    computed: Busy
    stored: Busy


@compiled
def _run(engine: EngineRecord, one: Pass, repeats: float, before: PipelineState) -> PipelineState:
    """Return the state after ``repeats`` equal passes."""
    second = together(one.last if one.steps == 2 else one.middle, one.compute)
    others, computed = together(one.compute, one.stored), together(one.last_compute, one.stored)
    rest = 0.0
    if one.steps > 2:
        rest = (one.steps - 3) * slot_of(together(one.middle, others), engine)
        rest += slot_of(together(one.last, others), engine)
    cycles = before.cycles + rest
    cycles += slot_of(together(one.first, before.computed), engine) + slot_of(together(second, before.stored), engine)
    if repeats > 1:
        again = slot_of(together(one.first, computed), engine) + slot_of(together(second, one.last_stored), engine)
        cycles += (repeats - 1) * (again + rest)
    return PipelineState(cycles, before.steps + repeats * one.steps, computed, one.last_stored)


@compiled
def _repeat(once: PipelineState, twice: PipelineState, times: float) -> PipelineState:
    """Return the state after a sequence ran ``times`` times, from the states after the first and the second time."""
    cycles = once.cycles + (times - 1) * (twice.cycles - once.cycles)
    steps = once.steps + (times - 1) * (twice.steps - once.steps)
    return PipelineState(cycles, steps, once.computed, once.stored)


@compiled
def _single_step(tiling: Tiling) -> float:
    """Return the cycles of a layer that is one tile."""
    engine, tile = tiling.engine, pixels_of(tiling, LAST, LAST)
    cycles = slot_of(load(tiling, LAST, LAST, tile), engine)
    cycles += slot_of(computation(tiling, LAST, LAST, tile, True), engine)
    return cycles + slot_of(store(tiling, LAST, tile), engine) + 3 * engine.slot_overhead_cycles


@compiled
def _over_outputs(tiling: Tiling, n: int, tile: Pixels) -> Pass:
    """Return a pass over output channels inside a tile of input channels of class n.

    Weights change in every step, a dense ifmap does not. Where the sums of all output channels stay, these are stored
    after the very last.
    """
    stay = tiling.order == INPUTS_OUTER
    first, middle, last = load(tiling, BODY, n, tile), weight_load(tiling, BODY, n), weight_load(tiling, LAST, n)
    if not tiling.layer.dense:
        middle, last = first, load(tiling, LAST, n, tile)
    return Pass(
        tiling.outputs.tiles,
        first,
        middle,
        last,
        computation(tiling, BODY, n, tile, not stay),
        NOTHING if stay else store(tiling, BODY, tile),
        computation(tiling, LAST, n, tile, n == LAST),
        store(tiling, LAST, tile) if n == LAST else NOTHING,
    )


@compiled
def _over_inputs(tiling: Tiling, m: int, tile: Pixels) -> Pass:
    """Return a pass over input channels: both tiles change in every step; results are stored after the last."""
    body = load(tiling, m, BODY, tile)
    return Pass(
        tiling.inputs.tiles,
        body,
        body,
        load(tiling, m, LAST, tile),
        computation(tiling, m, BODY, tile, False),
        NOTHING,
        computation(tiling, m, LAST, tile, True),
        store(tiling, m, tile),
    )


@compiled
def _over_pixels(tiling: Tiling, m: int, row: int) -> Pass:
    """Return a pass over a row of tiles of pixels, or over all tiles where a row is one, for channels of class m.

    Weights are loaded when the first line of tiles begins.
    """
    count, middle_row, last_row = tiling.cols.tiles, row, row
    if count == 1:
        count, middle_row, last_row = tiling.rows.tiles, MIDDLE, LAST
    first, middle = pixels_of(tiling, row, FIRST), pixels_of(tiling, middle_row, MIDDLE)
    last = pixels_of(tiling, last_row, LAST)
    return Pass(
        count,
        load(tiling, m, LAST, first) if row == FIRST else ifmap_load(tiling, m, LAST, first),
        ifmap_load(tiling, m, LAST, middle),
        ifmap_load(tiling, m, LAST, last),
        computation(tiling, m, LAST, middle, True),
        store(tiling, m, middle),
        computation(tiling, m, LAST, last, True),
        store(tiling, m, last),
    )


@compiled
def _pixel_lines(tiling: Tiling, m: int, before: PipelineState) -> PipelineState:
    """Return the state after all pixels for output channels of class m."""
    engine, lines = tiling.engine, 1.0 if tiling.cols.tiles == 1 else tiling.rows.tiles
    done = _run(engine, _over_pixels(tiling, m, FIRST), 1.0, before)
    if lines > 2:
        done = _run(engine, _over_pixels(tiling, m, MIDDLE), lines - 2, done)
    if lines > 1:
        done = _run(engine, _over_pixels(tiling, m, LAST), 1.0, done)
    return done


@compiled
def _pixels_inside(tiling: Tiling, start: PipelineState) -> PipelineState:
    """Return the state after a layer with one tile of input channels and pixels inside: its weights stay meanwhile."""
    done = start
    if tiling.outputs.tiles > 1:
        once = _pixel_lines(tiling, BODY, done)
        twice = _pixel_lines(tiling, BODY, once)
        done = _repeat(once, twice, tiling.outputs.tiles - 1)
    return _pixel_lines(tiling, LAST, done)


@compiled
def _channel_passes(tiling: Tiling, tile: Pixels, repeats: float, before: PipelineState) -> PipelineState:
    """Return the state after ``repeats`` tiles of pixels, each with all channels."""
    engine, ins = tiling.engine, tiling.inputs.tiles
    if ins == 1:
        return _run(engine, _over_outputs(tiling, LAST, tile), repeats, before)
    if tiling.order == INPUTS_OUTER and tiling.outputs.tiles > 1:
        body, last = _over_outputs(tiling, BODY, tile), _over_outputs(tiling, LAST, tile)
        once = _run(engine, last, 1.0, _run(engine, body, ins - 1, before))
        if repeats == 1:
            return once
        return _repeat(once, _run(engine, last, 1.0, _run(engine, body, ins - 1, once)), repeats)
    done = before
    if tiling.outputs.tiles > 1:
        done = _run(engine, _over_inputs(tiling, BODY, tile), (tiling.outputs.tiles - 1) * repeats, done)
    return _run(engine, _over_inputs(tiling, LAST, tile), repeats, done)


@compiled
def _row_of_tiles(tiling: Tiling, row: int, before: PipelineState) -> PipelineState:
    """Return the state after a row of tiles of pixels, each with all channels."""
    done = before
    if tiling.cols.tiles > 1:
        tile = pixels_of(tiling, row, BODY)
        done = _channel_passes(tiling, tile, tiling.cols.tiles - 1, done)
    return _channel_passes(tiling, pixels_of(tiling, row, LAST), 1.0, done)


@compiled
def _channels_inside(tiling: Tiling, start: PipelineState) -> PipelineState:
    """Return the state after a layer with pixels outside and channels inside."""
    done = start
    if tiling.rows.tiles > 1:
        once = _row_of_tiles(tiling, BODY, done)
        twice = once
        if tiling.rows.tiles > 2:
            twice = _row_of_tiles(tiling, BODY, once)
        done = _repeat(once, twice, tiling.rows.tiles - 1)
    return _row_of_tiles(tiling, LAST, done)


@compiled
def has_pixels_inside(tiling: Tiling) -> bool:
    """Return whether the innermost loop with more than one tile is that over pixels, which keeps the weights."""
    many_pixels = tiling.rows.tiles * tiling.cols.tiles > 1
    return many_pixels and tiling.inputs.tiles == 1 and (tiling.outputs.tiles == 1 or tiling.order == CHANNELS_OUTER)


@compiled
def slot_cycles(tiling: Tiling) -> float:
    """Return the cycles of one run of a layer without its setup."""
    engine = tiling.engine
    if tiling.outputs.tiles * tiling.inputs.tiles * tiling.rows.tiles * tiling.cols.tiles == 1:
        return _single_step(tiling)
    start = PipelineState(0.0, 0.0, NOTHING, NOTHING)
    done = _pixels_inside(tiling, start) if has_pixels_inside(tiling) else _channels_inside(tiling, start)
    drained = slot_of(done.computed, engine) + slot_of(done.stored, engine)
    return done.cycles + drained + (done.steps + 2) * engine.slot_overhead_cycles


@compiled
def setup_words(layer: LayerRecord, engine: EngineRecord, runs: float) -> float:
    """Return the words of the weight port at setup: descriptor and parameters for each run, and the tables."""
    lines: float = layer.classes if layer.classes > 0 else np.ceil(layer.out_channels / engine.post_lanes)
    run_bytes = _DESCRIPTOR_BYTES + lines * engine.post_lanes * _PARAMETER_BYTES
    return (runs * run_bytes + layer.tables * isa.TABLE_BYTES) / engine.weight_port_bytes


@compiled
def setup_cycles(layer: LayerRecord, engine: EngineRecord, runs: float) -> float:
    """Return the cycles a layer takes before the first slots of its runs."""
    bursts = runs * RUN_BURSTS + layer.tables
    overhead = runs * engine.layer_overhead_cycles + bursts * (
        engine.access_latency_cycles + engine.burst_overhead_cycles
    )
    return setup_words(layer, engine, runs) * max(1.0, engine.ddr_cycles_per_weight_word) + overhead
