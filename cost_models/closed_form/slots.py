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


class Phase(NamedTuple):
    """Cycles of the slowest stage in a phase of a slot, and those of the DDR without its access latency."""

    busy: float
    ddr: float


class Busy(NamedTuple):
    """Work of each phase of a slot: before, during and after the computation."""

    early: Phase
    middle: Phase
    late: Phase


IDLE = Phase(0.0, 0.0)
NOTHING = Busy(IDLE, IDLE, IDLE)


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
    return Busy(_both(first.early, second.early), _both(first.middle, second.middle), _both(first.late, second.late))


@compiled
def _both(first: Phase, second: Phase) -> Phase:
    return Phase(max(first.busy, second.busy), first.ddr + second.ddr)


@compiled
def cycles_of(phase: Phase, engine: EngineRecord) -> float:
    """Return the cycles of a phase: the DDR adds its access latency where it takes part."""
    return max(phase.busy, engine.access_latency_cycles + phase.ddr) if phase.ddr > 0 else phase.busy


@compiled
def slot_of(busy: Busy, engine: EngineRecord) -> float:
    """Return the cycles of a slot that holds just this, without the overhead of each slot."""
    return cycles_of(busy.early, engine) + cycles_of(busy.middle, engine) + cycles_of(busy.late, engine)


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
def port_cycles(engine: EngineRecord, words: float, tiles: float, bursts: float) -> float:
    """Return the cycles a port needs to move ``words`` words of some tiles, in ``bursts`` bursts together."""
    return engine.access_latency_cycles * tiles + words + engine.burst_overhead_cycles * bursts


@compiled
def map_phase(engine: EngineRecord, words: float, tiles: float, bursts: float, on_chip: bool) -> Phase:
    """Return the cycles that moving words of a map takes a port and the DDR.

    The map memory moves a line a cycle once the loop is filled, and leaves the DDR alone.
    """
    if on_chip:
        return Phase(words + engine.pipeline_depth_cycles * tiles, 0.0)
    return Phase(port_cycles(engine, words, tiles, bursts), words * engine.ddr_cycles_per_word)


@compiled
def _load(moved: Phase, buffers: int) -> Busy:
    """Return a load: late where there is a single buffer, else at the same time as the computation."""
    return Busy(IDLE, IDLE, moved) if buffers == 1 else Busy(IDLE, moved, IDLE)


@compiled
def ifmap_load(tiling: Tiling, m: int, n: int, pixels: Pixels) -> Busy:
    """Return the load of the ifmap tile of channels of the classes m and n."""
    engine = tiling.engine
    words = (size_of(tiling.inputs.words, n) + size_of(tiling.outputs.inputs, m)) * pixels.area
    return _load(map_phase(engine, words, 1.0, pixels.in_bursts, tiling.layer.reads_map), engine.ifmap_buffers)


@compiled
def weight_words(layer: LayerRecord, engine: EngineRecord, outputs: Outputs, inputs: Inputs, m: int, n: int) -> float:
    """Return the words of the weight port of the weights of channels of the classes m and n.

    Those of 4 bits lie two lines of the weight buffer to a line.
    """
    words = size_of(outputs.weights, m) * size_of(inputs.groups, n)
    if layer.weight_bits == 4:
        line_words = engine.pe_rows * engine.pe_cols / engine.weight_port_bytes
        words = np.ceil(words / line_words / 2) * line_words
    return words


@compiled
def weight_load(tiling: Tiling, m: int, n: int) -> Busy:
    """Return the load of those weights, in one burst."""
    layer, engine = tiling.layer, tiling.engine
    if layer.weightless:
        return NOTHING
    words = weight_words(layer, engine, tiling.outputs, tiling.inputs, m, n)
    moved = Phase(port_cycles(engine, words, 1.0, 1.0), words * engine.ddr_cycles_per_weight_word)
    return _load(moved, engine.weight_buffers)


@compiled
def load(tiling: Tiling, m: int, n: int, pixels: Pixels) -> Busy:
    """Return the load of both."""
    return together(ifmap_load(tiling, m, n, pixels), weight_load(tiling, m, n))


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
        busy = max(busy, port_cycles(engine, words, 1.0, pixels.out_bursts))
        ddr = words * engine.ddr_cycles_per_word
    return Busy(IDLE, Phase(busy, ddr), IDLE)


@compiled
def result_words(tiling: Tiling, m: int) -> float:
    """Return the words of a pixel of what is stored at a time: of a tile of the class m, or of all channels."""
    outputs = tiling.outputs
    is_whole = outputs.tiles == 1 or tiling.order == INPUTS_OUTER
    return sum_of(outputs.tiles, outputs.words) if is_whole else size_of(outputs.words, m)


@compiled
def store(tiling: Tiling, m: int, pixels: Pixels) -> Busy:
    """Return the store of results of channels of the class m."""
    words = result_words(tiling, m) * pixels.outputs
    moved = map_phase(tiling.engine, words, 1.0, pixels.out_bursts, tiling.layer.writes_map)
    return Busy(moved, IDLE, IDLE) if tiling.engine.ofmap_buffers == 1 else Busy(IDLE, moved, IDLE)
