"""The bounds against what they bound."""

from typing import Any

import numba
import numpy as np
from support.pricing.exhaustive_search import Case, draw_case

from cost_models.closed_form.bound import (
    are_apart,
    least_across,
    least_at_ends,
    least_cycles,
    least_with_overlap,
    overlap_of,
    phases_of,
)
from cost_models.closed_form.latency import has_pixels_inside, slot_cycles
from cost_models.closed_form.records import LayerRecords, engine_records
from cost_models.closed_form.slots import Tiling
from cost_models.closed_form.tiling import ORDERS, cols_of, inputs_of, outputs_of, rows_of
from cost_models.closed_form.traffic import across_of, channel_sums, channel_traffic, down_of, moved_by, pixel_totals
from cost_models.mapping.mapping import draw_mapping
from hw_templates.conv_engine.accelerator import AcceleratorColumns


@numba.njit(error_model="numpy")
def bounds_of(layers: Any, runs: Any, engines: Any, sizes: Any, order: int) -> tuple[float, ...]:
    """The bounds of the first run of a layer, and last its cycles."""
    layer, engine = layers[0], engines[0]
    outputs, inputs = outputs_of(layer, engine, sizes[0]), inputs_of(layer, engine, sizes[1])
    rows, cols = rows_of(layer, runs[0], sizes[2]), cols_of(layer, engine, sizes[3])
    tiling = Tiling(layer, engine, outputs, inputs, rows, cols, order)
    stays = has_pixels_inside(tiling)
    sums = channel_sums(layer, engine, outputs, inputs)
    channels = channel_traffic(layer, sums, outputs.tiles, inputs.tiles, order, stays, stays)
    moved = moved_by(layer, channels, pixel_totals(layer, down_of(rows), across_of(cols)))
    phases, overlap = phases_of(layer, engine, moved, 1.0), overlap_of(layer, engine, outputs, inputs, order)
    return (
        least_cycles(phases, are_apart(outputs.tiles, order)),
        least_with_overlap(engine, overlap, moved, phases, rows.sizes.full * cols.groups.full),
        least_across(tiling, channels, phases),
        least_at_ends(tiling, phases),
        slot_cycles(tiling),
    )


def bounds_of_case(case: Case, rng: np.random.Generator) -> tuple[float, ...] | None:
    """Those of a random mapping; None where none is legal."""
    mapping = draw_mapping(case.layer, case.accelerator, rng)
    if mapping is None:
        return None
    records = LayerRecords.of([case.layer], [case.placement])
    engines = engine_records(AcceleratorColumns.of([case.accelerator]), case.board, case.coefficients.latency)
    sizes = (mapping.tile_out_channels, mapping.tile_in_channels, mapping.tile_height, mapping.tile_width)
    order = ORDERS.index(mapping.loop_order)
    return bounds_of(records.layers, records.runs, engines, tuple(map(float, sizes)), order)


def test_no_bound_is_above_the_cycles_and_each_is_the_best_of_some() -> None:
    rng, best = np.random.default_rng(0), set()
    for _ in range(3_000):
        case = draw_case(rng, 23, 200)
        found = bounds_of_case(case, rng)
        if found is not None:
            *bounds, cycles = found
            assert max(bounds) <= cycles * (1 + 1e-9), (case, bounds, cycles)
            best.add(int(np.argmax(bounds)))
    assert best >= {1, 2, 3}
