"""Exact totals of a layer: what its ports move, and what its array computes; and the least time that takes."""

from typing import NamedTuple

from cost_models.compiled import compiled
from cost_models.engine_records import EngineRecord
from cost_models.latency import INPUTS_OUTER, has_pixels_inside
from cost_models.layer_records import LayerRecord
from cost_models.tiling import BODY, LAST, sum_of
from cost_models.work import Tiling, weight_words


class Traffic(NamedTuple):
    """Words that the ports move, each its own, and trips of the compute pipeline.

    Where a map is in the map memory, its words are lines of that memory, and do not pass the DDR.

    Attributes:
        steps: tiles that are computed.
        ifmap_loads, weight_loads, stores: in how many of them each port is busy.
    """

    trips: float
    ifmap_words: float
    weight_words: float
    ofmap_words: float
    residual_words: float
    steps: float
    ifmap_loads: float
    weight_loads: float
    stores: float


@compiled
def traffic_of(layer: LayerRecord, engine: EngineRecord, tiling: Tiling, order: int) -> Traffic:
    """Totals of one run of a layer."""
    outputs, inputs, rows, cols = tiling.outputs, tiling.inputs, tiling.rows, tiling.cols
    pixel_tiles = rows.tiles * cols.tiles
    stays = has_pixels_inside(tiling, order)
    weight_passes = 1.0 if stays else pixel_tiles
    again = layer.dense and (stays or (inputs.tiles > 1 and order != INPUTS_OUTER))
    ifmap_passes = outputs.tiles if again else 1.0
    if layer.dense:
        in_words, parts = sum_of(inputs.tiles, inputs.full_words, inputs.last_words), inputs.tiles
    else:
        in_words, parts = sum_of(outputs.tiles, outputs.full_inputs, outputs.last_inputs), outputs.tiles
    out_groups = sum_of(outputs.tiles, outputs.full_groups, outputs.last_groups)
    in_groups = sum_of(inputs.tiles, inputs.full_groups, inputs.last_groups)
    out_height = sum_of(rows.tiles, rows.full, rows.last)
    groups = sum_of(cols.tiles, cols.full_groups, cols.last_groups)
    out_words = sum_of(outputs.tiles, outputs.full_words, outputs.last_words)
    ofmap_words = out_words * out_height * layer.out_width
    return Traffic(
        trips=out_groups * in_groups * layer.kernel_height * layer.kernel_width * out_height * groups,
        ifmap_words=in_words * rows.halo.total * cols.halo.total * ifmap_passes,
        weight_words=_all_weight_words(engine, tiling) * weight_passes,
        ofmap_words=ofmap_words,
        residual_words=ofmap_words if layer.residual else 0.0,
        steps=outputs.tiles * inputs.tiles * pixel_tiles,
        ifmap_loads=parts * pixel_tiles * ifmap_passes,
        weight_loads=0.0 if layer.weightless else outputs.tiles * inputs.tiles * weight_passes,
        stores=pixel_tiles if tiling.whole_out else outputs.tiles * pixel_tiles,
    )


@compiled
def _all_weight_words(engine: EngineRecord, tiling: Tiling) -> float:
    m, n = tiling.outputs.tiles, tiling.inputs.tiles
    words = weight_words(engine, tiling, LAST, LAST)
    if m > 1:
        words += (m - 1) * weight_words(engine, tiling, BODY, LAST)
    if n > 1:
        words += (n - 1) * weight_words(engine, tiling, LAST, BODY)
        words += (m - 1) * (n - 1) * weight_words(engine, tiling, BODY, BODY)
    return words


@compiled
def least_slot_cycles(layer: LayerRecord, engine: EngineRecord, tiling: Tiling, moved: Traffic) -> float:
    """What :func:`cost_models.latency.slot_cycles` cannot go below, for little work.

    Each phase of the slots together lasts as long as all that any stage does in it, and as all words need that pass the
    DDR in it. Bursts count where each pixel is one.
    """
    area = tiling.rows.halo.total * tiling.cols.halo.total
    outputs_made = layer.out_width * sum_of(tiling.rows.tiles, tiling.rows.full, tiling.rows.last)
    ifmap_start = engine.pipeline if layer.reads_map else engine.access
    ifmap = moved.ifmap_words + ifmap_start * moved.ifmap_loads
    if not (tiling.whole_in or layer.reads_map):
        ifmap += engine.burst * area * moved.ifmap_loads / (tiling.rows.tiles * tiling.cols.tiles)
    weights = moved.weight_words + (engine.access + engine.burst) * moved.weight_loads
    stored = moved.ofmap_words + (engine.pipeline if layer.writes_map else engine.access) * moved.stores
    if not (tiling.whole_out or layer.writes_map):
        stored += engine.burst * tiling.outputs.tiles * outputs_made
    ifmap_ddr = 0.0 if layer.reads_map else moved.ifmap_words * engine.ddr_cycles_per_word
    weight_ddr = moved.weight_words * engine.ddr_cycles_per_weight_word
    stored_ddr = 0.0 if layer.writes_map else moved.ofmap_words * engine.ddr_cycles_per_word
    early = late = late_ddr = 0.0
    middle = max(moved.trips + engine.pipeline * moved.steps, moved.residual_words)
    middle_ddr = moved.residual_words * engine.ddr_cycles_per_word
    if engine.ofmap_single:
        early = max(stored, stored_ddr)
    else:
        middle, middle_ddr = max(middle, stored), middle_ddr + stored_ddr
    if engine.ifmap_single:
        late, late_ddr = max(late, ifmap), late_ddr + ifmap_ddr
    else:
        middle, middle_ddr = max(middle, ifmap), middle_ddr + ifmap_ddr
    if engine.weight_single:
        late, late_ddr = max(late, weights), late_ddr + weight_ddr
    else:
        middle, middle_ddr = max(middle, weights), middle_ddr + weight_ddr
    return early + max(middle, middle_ddr) + max(late, late_ddr) + (moved.steps + 2) * engine.slot
