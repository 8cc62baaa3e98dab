"""The stages of the engine in a slot, and the cycles that the slot takes.

A slot has three phases, one after the other. In the middle one a tile is computed while whatever has two buffers moves:
the next tile is loaded and the last one stored at the same time. What has one buffer waits: a store comes before the
computation that overwrites its sums, a load after the computation that reads what it overwrites. A phase lasts as long
as its slowest stage, or as the DDR needs for the words of all its ports.
"""

from typing import NamedTuple

import numpy as np

from cost_models.closed_form.compiled import compiled
from cost_models.closed_form.records import EngineRecord, LayerRecord
from cost_models.closed_form.tiling import INPUTS_OUTER, Cols, Inputs, Outputs, Rows, size_of, sum_of


class Busy(NamedTuple):
    """Cycles of the slowest stage in each phase of a slot, and those of the DDR without its access latency."""

    early: float
    early_ddr: float
    middle: float
    middle_ddr: float
    late: float
    late_ddr: float


NOTHING = Busy(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


class Pixels(NamedTuple):
    """A class of tiles of output pixels.

    Attributes:
        area: input pixels read.
        in_bursts: bursts that read them.
        iterations: pipeline iterations for one group of output and one of input channels.
        outputs: output pixels.
        out_bursts: bursts that store them.
    """

    area: float
    in_bursts: float
    iterations: float
    outputs: float
    out_bursts: float


class Tiling(NamedTuple):
    """Tiles of one run of a layer along its four axes.

    Attributes:
        order: the loop order, by its place in :data:`cost_models.closed_form.tiling.ORDERS`.
    """

    layer: LayerRecord
    engine: EngineRecord
    outputs: Outputs
    inputs: Inputs
    rows: Rows
    cols: Cols
    order: int


@compiled
def together(first: Busy, second: Busy) -> Busy:
    """Return two transfers or computations of different ports in the same slot."""
    return Busy(
        max(first.early, second.early),
        first.early_ddr + second.early_ddr,
        max(first.middle, second.middle),
        first.middle_ddr + second.middle_ddr,
        max(first.late, second.late),
        first.late_ddr + second.late_ddr,
    )


@compiled
def _phase(busy: float, ddr: float, access: float) -> float:
    """Return the cycles of a phase: the DDR adds its access latency where it takes part."""
    return max(busy, access + ddr) if ddr > 0 else busy


@compiled
def middle_of(busy: Busy, access: float) -> float:
    """Return the cycles of the middle phase."""
    return _phase(busy.middle, busy.middle_ddr, access)


@compiled
def slot_of(busy: Busy, access: float) -> float:
    """Return the cycles of a slot that holds just this, without the overhead of each slot."""
    early, late = _phase(busy.early, busy.early_ddr, access), _phase(busy.late, busy.late_ddr, access)
    return early + middle_of(busy, access) + late


@compiled
def whole_tiles(layer: LayerRecord, outputs: float, inputs: float, order: int) -> tuple[bool, bool]:
    """Return whether a tile that is loaded, and one that is stored, has all channels of its pixels.

    ``outputs`` and ``inputs`` are the numbers of tiles of output and input channels.
    """
    whole_in = inputs == 1 if layer.dense else outputs == 1
    return whole_in, outputs == 1 or order == INPUTS_OUTER


@compiled
def pixels_of(tiling: Tiling, row: int, col: int) -> Pixels:
    """Return the tiles of the given classes along rows and columns.

    A tile of all channels is read, or stored, in one burst a row, or in one where its rows are whole; any other in one
    a pixel.
    """
    layer, rows, cols = tiling.layer, tiling.rows, tiling.cols
    whole_in, whole_out = whole_tiles(layer, tiling.outputs.tiles, tiling.inputs.tiles, tiling.order)
    in_rows, covering, out_rows = rows.halo.read[row], cols.halo.covering[col], size_of(rows.sizes, row)
    area, outputs = in_rows * cols.halo.read[col], out_rows * size_of(cols.sizes, col)
    out_bursts = (1.0 if cols.tiles == 1 else out_rows) if whole_out else outputs
    return Pixels(
        area=area,
        in_bursts=covering + (1 - covering) * in_rows if whole_in else area,
        iterations=layer.taps * out_rows * size_of(cols.groups, col),
        outputs=outputs,
        out_bursts=out_bursts,
    )


@compiled
def port_cycles(engine: EngineRecord, words: float, bursts: float) -> float:
    """Return the cycles a port needs to move ``words`` words in ``bursts`` bursts."""
    return engine.access_latency_cycles + words + engine.burst_overhead_cycles * bursts


@compiled
def _map_cycles(engine: EngineRecord, words: float, bursts: float, on_chip: bool) -> tuple[float, float]:
    """Return the cycles that moving words of a map takes a port and the DDR.

    The map memory moves a line a cycle once the loop is filled, and leaves the DDR alone.
    """
    if on_chip:
        return words + engine.pipeline_depth_cycles, 0.0
    return port_cycles(engine, words, bursts), words * engine.ddr_cycles_per_word


@compiled
def _load(busy: float, ddr: float, single: bool) -> Busy:
    """Return a load: late where there is a single buffer, else at the same time as the computation."""
    if single:
        return Busy(0.0, 0.0, 0.0, 0.0, busy, ddr)
    return Busy(0.0, 0.0, busy, ddr, 0.0, 0.0)


@compiled
def ifmap_load(tiling: Tiling, m: int, n: int, pixels: Pixels) -> Busy:
    """Return the load of the ifmap tile of channels of the classes m and n."""
    layer, engine = tiling.layer, tiling.engine
    channel_words = size_of(tiling.inputs.words, n) if layer.dense else size_of(tiling.outputs.inputs, m)
    busy, ddr = _map_cycles(engine, channel_words * pixels.area, pixels.in_bursts, layer.reads_map)
    return _load(busy, ddr, engine.ifmap_buffers == 1)


@compiled
def weight_words(engine: EngineRecord, outputs: Outputs, inputs: Inputs, m: int, n: int) -> float:
    """Return the words of the weight port of the weights of channels of the classes m and n."""
    words: float = np.ceil(size_of(outputs.weights, m) * size_of(inputs.groups, n) / engine.weight_port_bytes)
    return words


@compiled
def weight_load(tiling: Tiling, m: int, n: int) -> Busy:
    """Return the load of those weights, in one burst."""
    layer, engine = tiling.layer, tiling.engine
    if layer.weightless:
        return NOTHING
    words = weight_words(engine, tiling.outputs, tiling.inputs, m, n)
    return _load(port_cycles(engine, words, 1.0), words * engine.ddr_cycles_per_weight_word, engine.weight_buffers == 1)


@compiled
def computation(tiling: Tiling, m: int, n: int, pixels: Pixels, finishes: bool) -> Busy:
    """Return the computation of a tile: an iteration a cycle once the pipeline is filled.

    While a tile is finished, its residual is read at the same time.
    """
    layer, engine = tiling.layer, tiling.engine
    iterations = size_of(tiling.outputs.groups, m) * size_of(tiling.inputs.groups, n) * pixels.iterations
    busy, ddr = iterations + engine.pipeline_depth_cycles, 0.0
    if layer.residual and finishes:
        words = result_words(tiling, m) * pixels.outputs
        busy = max(busy, port_cycles(engine, words, pixels.out_bursts))
        ddr = words * engine.ddr_cycles_per_word
    return Busy(0.0, 0.0, busy, ddr, 0.0, 0.0)


@compiled
def result_words(tiling: Tiling, m: int) -> float:
    """Return the words of a pixel of what is stored at a time: of a tile of the class m, or of all channels."""
    outputs = tiling.outputs
    is_whole = outputs.tiles == 1 or tiling.order == INPUTS_OUTER
    return sum_of(outputs.tiles, outputs.words) if is_whole else size_of(outputs.words, m)


@compiled
def store(tiling: Tiling, m: int, pixels: Pixels) -> Busy:
    """Return the store of results of channels of the class m."""
    layer, engine = tiling.layer, tiling.engine
    words = result_words(tiling, m) * pixels.outputs
    busy, ddr = _map_cycles(engine, words, pixels.out_bursts, layer.writes_map)
    if engine.ofmap_buffers == 1:
        return Busy(busy, ddr, 0.0, 0.0, 0.0, 0.0)
    return Busy(0.0, 0.0, busy, ddr, 0.0, 0.0)
