"""What the cycles of a layer cannot go below, for little work: of one mapping, and of many mappings at once.

Each phase of the slots together lasts as long as all that any stage does in it, and as all words need that pass the DDR
in it. That grows with each of the totals, so the least totals of several mappings bound them all. Of one mapping more
is known: what stands beside what in its slots.
"""

from typing import NamedTuple

import numpy as np

from cost_models.closed_form.compiled import compiled
from cost_models.closed_form.engine_records import EngineRecord
from cost_models.closed_form.latency import CHANNELS_OUTER, INPUTS_OUTER, has_pixels_inside
from cost_models.closed_form.layer_records import LayerRecord
from cost_models.closed_form.slots import (
    Tiling,
    beside,
    computation,
    ifmap_load,
    middle_of,
    pixels_of,
    store,
    weight_load,
)
from cost_models.closed_form.tiling import BODY, FIRST, LAST, Inputs, Outputs, sum_of
from cost_models.closed_form.traffic import ChannelTraffic, PixelTotals, Traffic, moved_by


class Phases(NamedTuple):
    """Least cycles of all slots of a layer together, by phase and stage.

    Attributes:
        outside: of the early and the late phases, and what every slot begins with.
        late, late_ifmap, late_weights: of the late phase alone, and of the loads in it.
        trips: the middle phase: computing, without what is read beside.
        computed: computing, with it.
        ifmap, weights, stored: loads and stores in the middle phase; 0 where they are in another.
        ddr: what passes the DDR in the middle phase.
    """

    outside: float
    late: float
    late_ifmap: float
    late_weights: float
    trips: float
    computed: float
    ifmap: float
    weights: float
    stored: float
    ddr: float


@compiled
def ifmap_cycles(layer: LayerRecord, engine: EngineRecord, moved: Traffic) -> float:
    """Of all loads of the ifmap."""
    if layer.reads_map:
        return moved.ifmap_words + engine.pipeline * moved.ifmap_loads
    return moved.ifmap_words + engine.access * moved.ifmap_loads + engine.burst * moved.ifmap_bursts


@compiled
def store_cycles(layer: LayerRecord, engine: EngineRecord, moved: Traffic) -> float:
    """Of all stores."""
    if layer.writes_map:
        return moved.ofmap_words + engine.pipeline * moved.stores
    return moved.ofmap_words + engine.access * moved.stores + engine.burst * moved.store_bursts


@compiled
def phases_of(layer: LayerRecord, engine: EngineRecord, moved: Traffic, runs: float) -> Phases:
    """Of so many runs with these totals together."""
    stored, stored_ddr = store_cycles(layer, engine, moved), 0.0
    if not layer.writes_map:
        stored_ddr = moved.ofmap_words * engine.ddr_cycles_per_word + engine.access * moved.stores
    ifmap, ifmap_ddr = ifmap_cycles(layer, engine, moved), 0.0
    if not layer.reads_map:
        ifmap_ddr = moved.ifmap_words * engine.ddr_cycles_per_word
    weights = moved.weight_words + (engine.access + engine.burst) * moved.weight_loads
    weight_ddr = moved.weight_words * engine.ddr_cycles_per_weight_word
    trips = moved.trips + engine.pipeline * moved.steps
    computed, ddr = trips, 0.0
    if layer.residual:
        computed = max(trips, moved.residual_words if layer.writes_map else stored)
        ddr = moved.residual_words * engine.ddr_cycles_per_word
    outside, late_ifmap, late_weights, late_ddr = (moved.steps + 2 * runs) * engine.slot, 0.0, 0.0, 0.0
    if engine.ofmap_single:
        outside += max(stored, stored_ddr)
        stored = stored_ddr = 0.0
    if engine.ifmap_single:
        late_ifmap, late_ddr = ifmap, ifmap_ddr
        ifmap = ifmap_ddr = 0.0
    if engine.weight_single:
        late_weights, late_ddr = weights, late_ddr + weight_ddr
        weights = weight_ddr = 0.0
    ddr += stored_ddr + ifmap_ddr + weight_ddr
    late = max(late_ifmap, late_weights, late_ddr)
    return Phases(outside + late, late, late_ifmap, late_weights, trips, computed, ifmap, weights, stored, ddr)


@compiled
def least_cycles(phases: Phases, apart: bool) -> float:
    """The bound of these phases; ``apart`` says that no slot both loads the ifmap and stores."""
    maps = phases.ifmap + phases.stored if apart else max(phases.ifmap, phases.stored)
    return phases.outside + max(maps, phases.computed, phases.weights, phases.ddr)


@compiled
def are_apart(outputs: float, order: int) -> bool:
    """Whether no slot of so many tiles of output channels both loads the ifmap and stores."""
    return order == INPUTS_OUTER and outputs > 1


class Beside(NamedTuple):
    """What is beside what in the slots of tiles of channels, whatever the tiles of pixels: shares of totals, at most.

    Attributes:
        ifmap_trips, store_trips: of the trips, those that are computed while the ifmap is loaded, or results stored.
        store_ifmap: of the loads of the ifmap, what is loaded while results are stored.
        weight_load: cycles that the largest tile of weights is loaded for.
        most_trips: of a tile, for one group of pixels.
        apart: whether no slot both loads the ifmap and stores.
    """

    ifmap_trips: float
    store_trips: float
    store_ifmap: float
    weight_load: float
    most_trips: float
    apart: bool


@compiled
def beside_of(layer: LayerRecord, engine: EngineRecord, outputs: Outputs, inputs: Inputs, order: int) -> Beside:
    """Of these tiles of channels in that order."""
    ifmap_trips = store_trips = store_ifmap = 1.0
    apart = are_apart(outputs.tiles, order)
    first_in = inputs.full_groups / sum_of(inputs.tiles, inputs.full_groups, inputs.last_groups)
    if layer.dense and outputs.tiles > 1 and (apart or (order != CHANNELS_OUTER and inputs.tiles == 1)):
        # The ifmap is loaded while the last output channels of the tile before are computed.
        out_groups = sum_of(outputs.tiles, outputs.full_groups, outputs.last_groups)
        ifmap_trips = outputs.last_groups / out_groups
        store_trips = first_in * outputs.full_groups / out_groups if apart else 1.0
    elif inputs.tiles > 1:
        # Results are stored while the first input channels of the next tile are computed, and the second loaded.
        second = inputs.last_words if inputs.tiles == 2 else inputs.full_words
        words = sum_of(inputs.tiles, inputs.full_words, inputs.last_words)
        store_trips, store_ifmap = first_in, max(second / words, 1 / inputs.tiles)
    weight_load = np.ceil(outputs.full_weights * inputs.full_groups / engine.weight_word) + engine.access + engine.burst
    most_trips = outputs.full_groups * inputs.full_groups * layer.kernel_height * layer.kernel_width
    return Beside(ifmap_trips, store_trips, store_ifmap, weight_load, most_trips, apart)


@compiled
def least_beside(engine: EngineRecord, beside: Beside, moved: Traffic, phases: Phases, groups: float) -> float:
    """The bound that also counts what is beside nothing else; ``groups`` are those of pixels of the largest tile."""
    pipeline, loads, stores = engine.pipeline, moved.ifmap_loads, moved.stores
    ifmap = stored = weights = both = late = 0.0
    free = phases.weights - loads * beside.weight_load
    if phases.ifmap > 0:
        trips = moved.trips * (1 - beside.ifmap_trips) + pipeline * (moved.steps - loads)
        ifmap = phases.ifmap + max(trips, free, 0.0)
    elif phases.weights == 0:
        late = max(0.0, phases.late_weights - loads * beside.weight_load)
        late = max(0.0, phases.late_ifmap + late - phases.late)
    if phases.stored > 0:
        trips = moved.trips * (1 - beside.store_trips) + pipeline * (moved.steps - stores)
        loaded = phases.ifmap * (1 - beside.store_ifmap)
        stored = phases.stored + max(trips, loaded, phases.weights - stores * beside.weight_load)
        if beside.apart and phases.ifmap > 0:
            trips = moved.trips * (1 - beside.ifmap_trips - beside.store_trips) + pipeline * (
                moved.steps - loads - stores
            )
            both = phases.ifmap + phases.stored + max(trips, free - stores * beside.weight_load, 0.0)
    if phases.weights > 0:
        most = beside.most_trips * groups + pipeline
        weights = phases.weights + max(0.0, phases.trips - moved.weight_loads * most)
    least = max(ifmap, stored, weights, both, phases.computed, phases.ddr)
    return phases.outside + late + least


@compiled
def least_at_ends(layer: LayerRecord, engine: EngineRecord, tiling: Tiling, order: int, phases: Phases) -> float:
    """The bound of one run that also counts the slots in which the pipeline fills and drains.

    No load hides behind another stage before the first tile is loaded, and no store after the last tile is computed.
    """
    first_row = first_col = BODY
    if has_pixels_inside(tiling, order):
        first_row, first_col = FIRST, FIRST if tiling.cols.tiles > 1 else LAST
    first, last = pixels_of(layer, tiling, first_row, first_col), pixels_of(layer, tiling, LAST, LAST)
    load = beside(ifmap_load(layer, engine, tiling, BODY, BODY, first), weight_load(layer, engine, tiling, BODY, BODY))
    drain = store(layer, engine, tiling, LAST, last)
    filled, drained = middle_of(load, engine.access), middle_of(drain, engine.access)
    loaded = max(phases.ifmap, phases.weights) + computation(layer, engine, tiling, LAST, LAST, last, True).middle
    stored = phases.stored + computation(layer, engine, tiling, BODY, BODY, first, False).middle
    ddr = phases.ddr - load.middle_ddr - drain.middle_ddr - (engine.access if drain.middle_ddr > 0 else 0.0)
    return phases.outside + max(filled + max(phases.computed, ddr) + drained, loaded + drained, filled + stored)


@compiled
def least_of_steps(
    engine: EngineRecord,
    tiling: Tiling,
    channels: ChannelTraffic,
    phases: Phases,
    weight_load: float,
) -> float:
    """The bound of one run that loads all weights for each tile of pixels, small or large: 0 of any other.

    While a tile of pixels is computed all weights are loaded once: while the last one is, all but ``weight_load``.
    """
    rows, cols = tiling.rows, tiling.cols
    if channels.stays or phases.weights == 0:
        return 0.0
    weights = phases.weights / (rows.tiles * cols.tiles)
    least = 0.0
    for row in range(2):
        for col in range(2):
            count = (1.0 if row else rows.tiles - 1) * (1.0 if col else cols.tiles - 1)
            positions = (rows.last if row else rows.full) * (cols.last_groups if col else cols.full_groups)
            trips = channels.sums.trips * positions + engine.pipeline * channels.steps
            least += count * max(weights, trips)
    return phases.outside + least - weight_load


@compiled
def least_across(
    layer: LayerRecord, engine: EngineRecord, tiling: Tiling, channels: ChannelTraffic, phases: Phases
) -> float:
    """The bound of one run with pixels inside whose last tiles of a row are narrower: 0 of any other.

    A narrow tile is loaded while a wide one is computed, and stored while the first of the next row is.
    """
    rows, cols, outputs = tiling.rows, tiling.cols, tiling.outputs
    if not channels.stays or cols.tiles == 1 or cols.last == cols.full:
        return 0.0
    height, covering = sum_of(rows.tiles, rows.full, rows.last), cols.halo.covering_last
    totals = PixelTotals(
        runs=1.0,
        tiles=rows.tiles,
        area=rows.halo.total * cols.halo.last,
        in_bursts=covering * rows.tiles + (1 - covering) * rows.halo.total,
        groups=height * cols.full_groups,
        outputs=height * cols.last,
        out_bursts=height,
    )
    narrow = moved_by(layer, channels, totals)
    wide = narrow.trips + engine.pipeline * narrow.steps
    across = 0.0
    if phases.ifmap > 0:
        load = ifmap_cycles(layer, engine, narrow)
        across = max(phases.ifmap - load, phases.trips - wide) + max(load, wide)
    if phases.stored > 0:
        # Nothing is computed while the very last tile is stored.
        taps = layer.kernel_height * layer.kernel_width
        last_groups = outputs.last_groups * tiling.inputs.last_groups
        wide -= taps * rows.full * cols.full_groups * last_groups + engine.pipeline
        kept = store_cycles(layer, engine, narrow)
        across = max(across, max(phases.stored - kept, phases.trips - wide) + max(kept, wide))
    return phases.outside + across
