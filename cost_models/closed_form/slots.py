"""What the stages of the engine do in a slot, and how long the slot is for it.

A slot has three phases, one after the other. In the middle one a tile is computed, beside whatever has two buffers: the
next tile is loaded and the last one stored at the same time. What has one buffer waits: a store comes before the
computation that overwrites its sums, a load after the computation that reads what it overwrites. A phase lasts as long
as its slowest stage, or as the DDR needs for the words of all its ports.
"""

from typing import NamedTuple

import numpy as np

from cost_models.closed_form.compiled import compiled
from cost_models.closed_form.engine_records import EngineRecord
from cost_models.closed_form.layer_records import LayerRecord
from cost_models.closed_form.tiling import BODY, FIRST, LAST, MIDDLE, Cols, Halo, Inputs, Outputs, Rows


class Work(NamedTuple):
    """Of each phase of a slot the cycles of its slowest stage, and those of the DDR beside the access latency."""

    early: float
    early_ddr: float
    middle: float
    middle_ddr: float
    late: float
    late_ddr: float


NOTHING = Work(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


class Pixels(NamedTuple):
    """A class of tiles of output pixels.

    Attributes:
        area: input pixels read.
        in_bursts: bursts that read them.
        trips: pipeline trips for one group of output and one of input channels.
        outputs: output pixels.
        out_bursts: bursts that store them.
    """

    area: float
    in_bursts: float
    trips: float
    outputs: float
    out_bursts: float


class Tiling(NamedTuple):
    """Tiles of one run of a layer along its four axes.

    Attributes:
        whole_in, whole_out: whether a tile that is loaded, or one that is stored, has all channels of its pixels.
    """

    outputs: Outputs
    inputs: Inputs
    rows: Rows
    cols: Cols
    whole_in: bool
    whole_out: bool


@compiled
def beside(first: Work, second: Work) -> Work:
    """Both in the same slot, by different ports."""
    return Work(
        max(first.early, second.early),
        first.early_ddr + second.early_ddr,
        max(first.middle, second.middle),
        first.middle_ddr + second.middle_ddr,
        max(first.late, second.late),
        first.late_ddr + second.late_ddr,
    )


@compiled
def middle_of(work: Work, access: float) -> float:
    """Cycles of its middle phase."""
    return max(work.middle, access + work.middle_ddr) if work.middle_ddr > 0 else work.middle


@compiled
def slot_of(work: Work, access: float) -> float:
    """Cycles of a slot that holds just this, beside what every slot begins with."""
    middle = middle_of(work, access)
    early = max(work.early, access + work.early_ddr) if work.early_ddr > 0 else work.early
    late = max(work.late, access + work.late_ddr) if work.late_ddr > 0 else work.late
    return early + middle + late


@compiled
def pixels_of(layer: LayerRecord, tiling: Tiling, row: int, col: int) -> Pixels:
    """The tiles of the given classes along rows and columns.

    A tile of all channels is read, or stored, in one burst a row, or in one where its rows are whole; any other in one
    a pixel.
    """
    rows, cols = tiling.rows, tiling.cols
    in_rows, covering = _extent(rows.halo, row), _covering(cols.halo, col)
    out_rows = rows.last if row == LAST else rows.full
    out_cols = cols.last if col == LAST else cols.full
    groups = cols.last_groups if col == LAST else cols.full_groups
    area, outputs = in_rows * _extent(cols.halo, col), out_rows * out_cols
    out_bursts = (1.0 if cols.tiles == 1 else out_rows) if tiling.whole_out else outputs
    return Pixels(
        area=area,
        in_bursts=covering + (1 - covering) * in_rows if tiling.whole_in else area,
        trips=layer.kernel_height * layer.kernel_width * out_rows * groups,
        outputs=outputs,
        out_bursts=out_bursts,
    )


@compiled
def _extent(halo: Halo, edge: int) -> float:
    if edge == FIRST:
        return halo.first
    if edge == MIDDLE:
        return halo.middle
    return halo.body if edge == BODY else halo.last


@compiled
def _covering(halo: Halo, edge: int) -> float:
    if edge == FIRST:
        return halo.covering_first
    if edge == MIDDLE:
        return halo.covering_middle
    return halo.covering_body if edge == BODY else halo.covering_last


@compiled
def kept_cycles(engine: EngineRecord, lines: float) -> float:
    """Of so many lines of the map memory: one a cycle, once the loop is filled."""
    return lines + engine.pipeline


@compiled
def port_cycles(engine: EngineRecord, words: float, bursts: float) -> float:
    """Of so many words of a port."""
    return engine.access + words + engine.burst * bursts


@compiled
def ifmap_load(layer: LayerRecord, engine: EngineRecord, tiling: Tiling, m: int, n: int, pixels: Pixels) -> Work:
    """Loading the ifmap tile of channels of the classes m and n."""
    if layer.dense:
        channel_words = tiling.inputs.last_words if n == LAST else tiling.inputs.full_words
    else:
        channel_words = tiling.outputs.last_inputs if m == LAST else tiling.outputs.full_inputs
    words, ddr = channel_words * pixels.area, 0.0
    if layer.reads_map:
        busy = kept_cycles(engine, words)
    else:
        busy, ddr = port_cycles(engine, words, pixels.in_bursts), words * engine.ddr_cycles_per_word
    if engine.ifmap_single:
        return Work(0.0, 0.0, 0.0, 0.0, busy, ddr)
    return Work(0.0, 0.0, busy, ddr, 0.0, 0.0)


@compiled
def weight_words(engine: EngineRecord, outputs: Outputs, inputs: Inputs, m: int, n: int) -> float:
    """Words of the weight port of the weights of channels of the classes m and n."""
    weight_bytes = outputs.last_weights if m == LAST else outputs.full_weights
    groups = inputs.last_groups if n == LAST else inputs.full_groups
    words: float = np.ceil(weight_bytes * groups / engine.weight_word)
    return words


@compiled
def weight_load(layer: LayerRecord, engine: EngineRecord, tiling: Tiling, m: int, n: int) -> Work:
    """Loading those weights, in one burst."""
    if layer.weightless:
        return NOTHING
    words = weight_words(engine, tiling.outputs, tiling.inputs, m, n)
    busy, ddr = port_cycles(engine, words, 1.0), words * engine.ddr_cycles_per_weight_word
    if engine.weight_single:
        return Work(0.0, 0.0, 0.0, 0.0, busy, ddr)
    return Work(0.0, 0.0, busy, ddr, 0.0, 0.0)


@compiled
def computation(
    layer: LayerRecord, engine: EngineRecord, tiling: Tiling, m: int, n: int, pixels: Pixels, finishes: bool
) -> Work:
    """One trip a cycle once the pipeline is filled; while a tile is finished, its residual is read beside."""
    out_groups = tiling.outputs.last_groups if m == LAST else tiling.outputs.full_groups
    in_groups = tiling.inputs.last_groups if n == LAST else tiling.inputs.full_groups
    busy, ddr = out_groups * in_groups * pixels.trips + engine.pipeline, 0.0
    if layer.residual and finishes:
        words = result_words(tiling, m) * pixels.outputs
        busy = max(busy, port_cycles(engine, words, pixels.out_bursts))
        ddr = words * engine.ddr_cycles_per_word
    return Work(0.0, 0.0, busy, ddr, 0.0, 0.0)


@compiled
def result_words(tiling: Tiling, m: int) -> float:
    """Words of a pixel of what is stored at a time: of a tile of the class m, or of all channels."""
    outputs = tiling.outputs
    if tiling.whole_out:
        return (outputs.tiles - 1) * outputs.full_words + outputs.last_words
    return outputs.last_words if m == LAST else outputs.full_words


@compiled
def store(layer: LayerRecord, engine: EngineRecord, tiling: Tiling, m: int, pixels: Pixels) -> Work:
    """Storing results of channels of the class m."""
    words, ddr = result_words(tiling, m) * pixels.outputs, 0.0
    if layer.writes_map:
        busy = kept_cycles(engine, words)
    else:
        busy, ddr = port_cycles(engine, words, pixels.out_bursts), words * engine.ddr_cycles_per_word
    if engine.ofmap_single:
        return Work(busy, ddr, 0.0, 0.0, 0.0, 0.0)
    return Work(0.0, 0.0, busy, ddr, 0.0, 0.0)
