"""Lower bounds of a layer's cycles that are cheap to calculate, for one mapping and for many mappings at once.

Each phase of the slots together lasts as long as all that any stage does in it, and as all words need that pass the DDR
in it. That grows with each of the totals, so the least totals of several mappings bound them all. For one mapping
more is known: what overlaps in its slots.
"""

from typing import NamedTuple

from cost_models.closed_form.compiled import compiled
from cost_models.closed_form.latency import has_pixels_inside
from cost_models.closed_form.records import EngineRecord, LayerRecord
from cost_models.closed_form.slots import (
    Phase,
    Tiling,
    computation,
    cycles_of,
    load,
    map_phase,
    pixels_of,
    port_cycles,
    store,
    weight_words,
)
from cost_models.closed_form.tiling import (
    BODY,
    CHANNELS_OUTER,
    FIRST,
    INPUTS_OUTER,
    LAST,
    Inputs,
    Outputs,
    sum_of,
)
from cost_models.closed_form.traffic import ChannelTraffic, PixelTotals, Traffic, moved_by


class Phases(NamedTuple):
    """Least cycles of all slots of a layer together, by phase and stage.

    Attributes:
        outside: the early and the late phases, and what every slot begins with.
        late, late_ifmap, late_weights: the late phase alone, and the loads in it.
        iterations: computing in the middle phase, without the residual that is read meanwhile.
        computed: computing, with the residual.
        ifmap, weights, stored: loads and stores in the middle phase; 0 where they are in another.
        ddr: what passes the DDR in the middle phase.
    """

    outside: float
    late: float
    late_ifmap: float
    late_weights: float
    iterations: float
    computed: float
    ifmap: float
    weights: float
    stored: float
    ddr: float


@compiled
def _ifmap_phase(layer: LayerRecord, engine: EngineRecord, moved: Traffic) -> Phase:
    """Return the cycles of all loads of the ifmap."""
    return map_phase(engine, moved.ifmap_words, moved.ifmap_loads, moved.ifmap_bursts, layer.reads_map)


@compiled
def _store_phase(layer: LayerRecord, engine: EngineRecord, moved: Traffic) -> Phase:
    """Return the cycles of all stores."""
    return map_phase(engine, moved.ofmap_words, moved.stores, moved.store_bursts, layer.writes_map)


@compiled
def phases_of(layer: LayerRecord, engine: EngineRecord, moved: Traffic, runs: float) -> Phases:
    """Return the least cycles of ``runs`` runs that have these totals together."""
    stored, stored_ddr = _store_phase(layer, engine, moved)
    if not layer.writes_map:
        stored_ddr += engine.access_latency_cycles * moved.stores
    ifmap, ifmap_ddr = _ifmap_phase(layer, engine, moved)
    weights = port_cycles(engine, moved.weight_words, moved.weight_loads, moved.weight_loads)
    weight_ddr = moved.weight_words * engine.ddr_cycles_per_weight_word
    iterations = moved.iterations + engine.pipeline_depth_cycles * moved.steps
    computed, ddr = iterations, 0.0
    if layer.residual:
        computed = max(iterations, moved.residual_words if layer.writes_map else stored)
        ddr = moved.residual_words * engine.ddr_cycles_per_word
    outside, late_ifmap, late_weights, late_ddr = (moved.steps + 2 * runs) * engine.slot_overhead_cycles, 0.0, 0.0, 0.0
    if engine.ofmap_buffers == 1:
        outside += max(stored, stored_ddr)
        stored = stored_ddr = 0.0
    if engine.ifmap_buffers == 1:
        late_ifmap, late_ddr = ifmap, ifmap_ddr
        ifmap = ifmap_ddr = 0.0
    if engine.weight_buffers == 1:
        late_weights, late_ddr = weights, late_ddr + weight_ddr
        weights = weight_ddr = 0.0
    ddr += stored_ddr + ifmap_ddr + weight_ddr
    late = max(late_ifmap, late_weights, late_ddr)
    return Phases(outside + late, late, late_ifmap, late_weights, iterations, computed, ifmap, weights, stored, ddr)


@compiled
def least_cycles(phases: Phases, apart: bool) -> float:
    """Return the bound of these phases; ``apart`` says that no slot both loads the ifmap and stores."""
    maps = phases.ifmap + phases.stored if apart else max(phases.ifmap, phases.stored)
    return phases.outside + max(maps, phases.computed, phases.weights, phases.ddr)


@compiled
def are_apart(outputs: float, order: int) -> bool:
    """Return whether no slot both loads the ifmap and stores, where output channels are cut into ``outputs`` tiles."""
    return order == INPUTS_OUTER and outputs > 1


class Overlap(NamedTuple):
    """The most that may overlap in the slots of tiles of channels, whatever the tiles of pixels, as shares of totals.

    Attributes:
        ifmap_iterations, store_iterations: iterations computed while the ifmap is loaded, or results are stored.
        store_ifmap: loads of the ifmap while results are stored.
        weight_load: cycles to load the largest tile of weights.
        most_iterations: iterations of a tile for one group of pixels.
        apart: whether no slot both loads the ifmap and stores.
    """

    ifmap_iterations: float
    store_iterations: float
    store_ifmap: float
    weight_load: float
    most_iterations: float
    apart: bool


@compiled
def overlap_of(layer: LayerRecord, engine: EngineRecord, outputs: Outputs, inputs: Inputs, order: int) -> Overlap:
    """Return the overlap of these tiles of channels in a loop order."""
    ifmap_iterations = store_iterations = store_ifmap = 1.0
    apart = are_apart(outputs.tiles, order)
    first_in = inputs.groups.full / sum_of(inputs.tiles, inputs.groups)
    if layer.dense and outputs.tiles > 1 and (apart or (order != CHANNELS_OUTER and inputs.tiles == 1)):
        # The ifmap is loaded while the last output channels of the tile before are computed.
        out_groups = sum_of(outputs.tiles, outputs.groups)
        ifmap_iterations = outputs.groups.last / out_groups
        store_iterations = first_in * outputs.groups.full / out_groups if apart else 1.0
    elif inputs.tiles > 1:
        # Results are stored while the first input channels of the next tile are computed, and the second loaded.
        second = inputs.words.last if inputs.tiles == 2 else inputs.words.full
        words = sum_of(inputs.tiles, inputs.words)
        store_iterations, store_ifmap = first_in, max(second / words, 1 / inputs.tiles)
    weight_load = port_cycles(engine, weight_words(layer, engine, outputs, inputs, BODY, BODY), 1.0, 1.0)
    most_iterations = outputs.groups.full * inputs.groups.full * layer.taps
    return Overlap(ifmap_iterations, store_iterations, store_ifmap, weight_load, most_iterations, apart)


@compiled
def least_with_overlap(engine: EngineRecord, overlap: Overlap, moved: Traffic, phases: Phases, groups: float) -> float:
    """Return the bound that also counts what overlaps with nothing; the largest tile has ``groups`` of pixels."""
    pipeline, loads, stores = engine.pipeline_depth_cycles, moved.ifmap_loads, moved.stores
    ifmap = stored = weights = both = late = 0.0
    free = phases.weights - loads * overlap.weight_load
    if phases.ifmap > 0:
        iterations = moved.iterations * (1 - overlap.ifmap_iterations) + pipeline * (moved.steps - loads)
        ifmap = phases.ifmap + max(iterations, free, 0.0)
    elif phases.weights == 0:
        late = max(0.0, phases.late_weights - loads * overlap.weight_load)
        late = max(0.0, phases.late_ifmap + late - phases.late)
    if phases.stored > 0:
        iterations = moved.iterations * (1 - overlap.store_iterations) + pipeline * (moved.steps - stores)
        loaded = phases.ifmap * (1 - overlap.store_ifmap)
        stored = phases.stored + max(iterations, loaded, phases.weights - stores * overlap.weight_load)
        if overlap.apart and phases.ifmap > 0:
            iterations = moved.iterations * (1 - overlap.ifmap_iterations - overlap.store_iterations) + pipeline * (
                moved.steps - loads - stores
            )
            both = phases.ifmap + phases.stored + max(iterations, free - stores * overlap.weight_load, 0.0)
    if phases.weights > 0:
        most = overlap.most_iterations * groups + pipeline
        weights = phases.weights + max(0.0, phases.iterations - moved.weight_loads * most)
    least = max(ifmap, stored, weights, both, phases.computed, phases.ddr)
    return phases.outside + late + least


@compiled
def least_at_ends(tiling: Tiling, phases: Phases) -> float:
    """Return the bound of one run that also counts the slots in which the pipeline fills and drains.

    No load hides behind another stage before the first tile is loaded, and no store after the last tile is computed.
    """
    engine = tiling.engine
    first_row = first_col = BODY
    if has_pixels_inside(tiling):
        first_row, first_col = FIRST, FIRST if tiling.cols.tiles > 1 else LAST
    first, last = pixels_of(tiling, first_row, first_col), pixels_of(tiling, LAST, LAST)
    fill, drain = load(tiling, BODY, BODY, first).middle, store(tiling, LAST, last).middle
    filled, drained = cycles_of(fill, engine), cycles_of(drain, engine)
    loaded = max(phases.ifmap, phases.weights) + computation(tiling, LAST, LAST, last, True).middle.busy
    stored = phases.stored + computation(tiling, BODY, BODY, first, False).middle.busy
    ddr = phases.ddr - fill.ddr - drain.ddr - (engine.access_latency_cycles if drain.ddr > 0 else 0.0)
    return phases.outside + max(filled + max(phases.computed, ddr) + drained, loaded + drained, filled + stored)


@compiled
def least_across(tiling: Tiling, channels: ChannelTraffic, phases: Phases) -> float:
    """Return the bound of one run with pixels inside whose last tiles of a row are narrower; 0 for any other.

    A narrow tile is loaded while a wide one is computed, and stored while the first of the next row is.
    """
    layer, engine, rows, cols, outputs = tiling.layer, tiling.engine, tiling.rows, tiling.cols, tiling.outputs
    if not channels.stays or cols.tiles == 1 or cols.sizes.last == cols.sizes.full:
        return 0.0
    height, covering = sum_of(rows.tiles, rows.sizes), cols.halo.covering[LAST]
    totals = PixelTotals(
        runs=1.0,
        tiles=rows.tiles,
        area=rows.halo.total * cols.halo.read[LAST],
        in_bursts=covering * rows.tiles + (1 - covering) * rows.halo.total,
        groups=height * cols.groups.full,
        outputs=height * cols.sizes.last,
        out_bursts=height,
    )
    narrow = moved_by(layer, channels, totals)
    wide = narrow.iterations + engine.pipeline_depth_cycles * narrow.steps
    across = 0.0
    if phases.ifmap > 0:
        loaded = _ifmap_phase(layer, engine, narrow).busy
        across = max(phases.ifmap - loaded, phases.iterations - wide) + max(loaded, wide)
    if phases.stored > 0:
        # Nothing is computed while the very last tile is stored.
        last_groups = outputs.groups.last * tiling.inputs.groups.last
        wide -= layer.taps * rows.sizes.full * cols.groups.full * last_groups + engine.pipeline_depth_cycles
        kept = _store_phase(layer, engine, narrow).busy
        across = max(across, max(phases.stored - kept, phases.iterations - wide) + max(kept, wide))
    return phases.outside + across
