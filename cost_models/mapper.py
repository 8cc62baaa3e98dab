"""The best mapping of each of many layers on its accelerator, by pricing every candidate."""

from functools import lru_cache
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cost_models.compiled import SOURCES, compiled, kernel
from cost_models.engine_records import EngineRecord
from cost_models.latency import CHANNELS_OUTER, INPUTS_OUTER, ORDERS, slot_cycles, tiling_of
from cost_models.layer_records import LayerRecord, LayerRecords
from cost_models.mapping import EXHAUSTIVE_EXTENT, split_sizes
from cost_models.tiling import Cols, Inputs, Outputs, Rows, cols_of, inputs_of, outputs_of, rows_of
from cost_models.traffic import least_slot_cycles, traffic_of

IntArray = NDArray[np.int64]

_ORDERS = len(ORDERS)
# Rounding may make a bound this much larger than the cycles that it bounds.
_ROUNDING = 1e-9

OUT_CHANNELS, IN_CHANNELS, HEIGHT, WIDTH, ORDER, CANDIDATES, CALCULATED = range(7)
"""Columns of what the search finds: the tile, 0 where nothing fits; the loop order; how many mappings were priced, and
for how many of them a lower bound did not show that another is at least as good."""


def best_mappings(layers: LayerRecords, engines: NDArray[np.void], rows: IntArray, columns: IntArray) -> IntArray:
    """[cases, 7] the mapping of least latency of each case: layer ``rows[i]`` on accelerator ``columns[i]``.

    They are of those in :func:`cost_models.mapping.enumerate_mappings`; of equal ones the first is taken.
    """
    found = np.zeros((len(rows), 7), dtype=np.int64)
    extents = [layers.layers[name] for name in ("in_channels", "out_channels", "out_height", "out_width")]
    starts, sizes = _splits_up_to(1 << int(np.max(extents, initial=1)).bit_length())
    _search_all(layers.layers, layers.runs, engines, rows, columns, starts, sizes, found)
    return found


@lru_cache(maxsize=4)
def _splits_up_to(longest: int) -> tuple[IntArray, IntArray]:
    """Where the tile sizes tried for an axis of so many units start, and the sizes of all such axes."""
    sizes = [split_sizes(extent) for extent in range(1, longest + 1)]
    starts = np.cumsum([0, 0, *map(len, sizes)], dtype=np.int64)
    return starts, np.concatenate(sizes).astype(np.int64)


@compiled
def _is_considered(order: int, is_dense: bool, outputs: Outputs, inputs: Inputs, many_pixels: bool) -> bool:
    """Whether that loop order loads or stores other tiles than those before it do."""
    if order == CHANNELS_OUTER:
        return outputs.tiles > 1 and inputs.tiles == 1 and many_pixels
    return order != INPUTS_OUTER or (is_dense and outputs.tiles > 1)


@compiled
def _fits(engine: EngineRecord, outputs: Outputs, inputs: Inputs, most: Rows, cols: Cols, order: int) -> bool:
    """Whether a full tile fits the ifmap buffer, and the sums that are kept the ofmap buffer."""
    if (outputs.lines + inputs.lines) * most.need * cols.need > engine.ifmap_depth:
        return False
    need = outputs.whole_need if order == INPUTS_OUTER else outputs.need
    return need * most.full * cols.full_groups <= engine.ofmap_depth


@compiled
def _cycles_of(
    layer: LayerRecord,
    engine: EngineRecord,
    outputs: Outputs,
    inputs: Inputs,
    rows: list[Rows],
    cols: Cols,
    order: int,
    least: float,
) -> float:
    """Of all runs, whose rows are cut as given; inf where a lower bound shows that they take ``least`` or more."""
    bound = 0.0
    for run in rows:
        tiling = tiling_of(outputs, inputs, run, cols, layer, order)
        bound += run.repeats * least_slot_cycles(layer, engine, tiling, traffic_of(layer, engine, tiling, order))
    if bound * (1 - _ROUNDING) >= least:
        return np.inf
    cycles = 0.0
    for run in rows:
        cycles += run.repeats * slot_cycles(layer, engine, tiling_of(outputs, inputs, run, cols, layer, order), order)
    return cycles


@compiled
def _choices(extent: float, unit: float, starts: IntArray, sizes: IntArray) -> IntArray:
    """Tile sizes tried along an axis of so many units, in units."""
    units = int(np.ceil(extent / unit))
    return sizes[starts[units] : starts[units + 1]]


@compiled
def _search(
    layer: LayerRecord, runs: NDArray[np.void], engine: EngineRecord, starts: IntArray, sizes: IntArray, found: IntArray
) -> None:
    """Price all mappings of one layer on one accelerator; ``found`` [7] is what :func:`best_mappings` gives."""
    cell, out_unit = engine.rows * engine.cols, engine.rows
    in_sizes = sizes[:1]
    if layer.dense:
        in_sizes = _choices(layer.in_channels, engine.cols, starts, sizes)
    else:
        out_unit = cell / gcd(int(engine.rows), int(engine.cols))
    col_unit = engine.pixels if layer.out_width > EXHAUSTIVE_EXTENT else 1.0
    all_outputs = [
        outputs_of(layer, engine, out_unit * size) for size in _choices(layer.out_channels, out_unit, starts, sizes)
    ]
    all_inputs = [inputs_of(layer, engine, engine.cols * size) for size in in_sizes]
    all_rows = [
        [rows_of(layer, runs[run], float(size)) for run in range(layer.first_run, layer.end_run)]
        for size in _choices(float(layer.most_rows), 1.0, starts, sizes)
    ]
    all_cols = [
        cols_of(layer, engine, min(layer.out_width, col_unit * size))
        for size in _choices(layer.out_width, col_unit, starts, sizes)
    ]
    least = np.inf
    for outputs in all_outputs:
        for inputs in all_inputs:
            if np.ceil(outputs.full_weights * inputs.full_groups / cell) > engine.weight_depth:
                continue
            for rows in all_rows:
                most, many_rows = rows[0], False
                for run in rows:
                    most = run if run.full > most.full else most
                    many_rows = many_rows or run.tiles > 1
                for cols in all_cols:
                    for order in range(_ORDERS):
                        if not _is_considered(order, layer.dense, outputs, inputs, many_rows or cols.tiles > 1):
                            continue
                        if not _fits(engine, outputs, inputs, most, cols, order):
                            continue
                        found[CANDIDATES] += 1
                        cycles = _cycles_of(layer, engine, outputs, inputs, rows, cols, order, least)
                        found[CALCULATED] += cycles < np.inf
                        if cycles < least:
                            least = cycles
                            found[OUT_CHANNELS], found[HEIGHT] = int(outputs.tile), int(rows[0].tile)
                            found[IN_CHANNELS] = int(inputs.tile if layer.dense else outputs.tile)
                            found[WIDTH], found[ORDER] = int(cols.tile), order


def _search_all_with(sources: int) -> Any:
    @kernel
    def search_all(
        layers: NDArray[np.void],
        runs: NDArray[np.void],
        engines: NDArray[np.void],
        rows: IntArray,
        columns: IntArray,
        starts: IntArray,
        sizes: IntArray,
        found: IntArray,
    ) -> None:
        assert sources
        for case in range(len(rows)):
            _search(layers[rows[case]], runs, engines[columns[case]], starts, sizes, found[case])

    return search_all


_search_all = _search_all_with(SOURCES)
