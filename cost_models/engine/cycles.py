"""Cycles of each layer of a program of version 5: what the engine's Verilog takes, slot by slot, without running it.

A layer is its setup (descriptor, parameters and activation table, one after the other), a slot for each tile, two more
in which the last tile is computed and stored, and its end (counters, and the last response). In a slot the stages run
side by side; where a buffer is single, the store comes first, or the loads last. The constants are read from the
Verilog; ``benchmarks/engine_cycles.py`` compares what comes out with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cost_models.engine.counts import SlotWork, slot_work
from cost_models.engine.places import PlacedLayer
from cost_models.engine.stages import MemoryTiming, compute_cycles, read_cycles, setup_cycles
from cost_models.engine.stores import SlotTimes, WritePort, drain_cycles, store_scan, stores_of
from cost_models.engine.transfers import counter_transfers
from hw_templates.conv_engine.rtl_config import EngineShape
from hw_templates.foundation.arrays import FloatArray

WALK_CYCLES = 12
"""From the end of a slot to the next tile's command (``tile_walk.v``)."""
SLOT_CYCLES = 2
"""Of a slot outside its phases: one before them, one behind (``sequencer.v``)."""
LEAST_PHASE = 2
"""A phase in which nothing runs."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerCycles:
    """Cycles of a layer.

    Attributes:
        setup: before the first slot.
        slots: of each slot, [tiles + 2].
        drain: behind the last slot: until the counters are written and all results are in memory.
    """

    setup: float
    slots: FloatArray
    drain: float

    @property
    def counted(self) -> int:
        """Cycles that the engine writes as ``total_cycles``: all but the drain."""
        return round(self.setup + float(self.slots.sum()))

    @property
    def total(self) -> int:
        """All cycles, drain included."""
        return round(self.setup + float(self.slots.sum()) + self.drain)


def layer_cycles(layer: PlacedLayer, memory: MemoryTiming) -> LayerCycles:
    """Return the cycles of one layer."""
    work = slot_work(layer)
    setup, table_end = setup_cycles(layer, memory)
    port = WritePort(
        latency=float(memory.latency_cycles),
        word_bytes=float(layer.tiled.shape.accelerator.axi_bytes),
        bytes_a_cycle=float(memory.bytes_a_cycle),
    )
    slots = slot_times(layer.tiled.shape, work, memory)
    slot_ends, port_free = store_scan(slots, stores_of(work.ofmap.later(2)), port, table_end - setup)
    return LayerCycles(
        setup=setup,
        slots=np.diff(slot_ends, prepend=0.0),
        drain=drain_cycles(stores_of(counter_transfers(layer)), port, slot_ends[-1], port_free),
    )


def slot_times(shape: EngineShape, work: SlotWork, memory: MemoryTiming) -> SlotTimes:
    """Return what each slot takes besides its store, [tiles + 2]."""
    accelerator, tiles = shape.accelerator, len(work.iterations)
    ports = (
        (work.ifmap.later(0), accelerator.axi_bytes, accelerator.ifmap_buffers == 1),
        (work.weights.later(0), accelerator.weight_port_bytes, accelerator.weight_buffers == 1),
        (work.residual.later(1), accelerator.axi_bytes, False),
    )
    beside = read_cycles([(commands, word) for commands, word, single in ports if not single], memory)
    late = [(commands, word) for commands, word, single in ports if single]
    compute = np.zeros(tiles + 2)
    compute[1:-1] = compute_cycles(shape, work.iterations)
    main = np.maximum(np.maximum(compute, beside.cycles), LEAST_PHASE)
    before, behind = np.full(tiles + 2, WALK_CYCLES + 1.0), np.ones(tiles + 2)
    before[[0, tiles, tiles + 1]] = 2.0, 3.0, 1.0
    if late:
        behind[:tiles] += np.maximum(read_cycles(late, memory).cycles, LEAST_PHASE)[:tiles]
    if accelerator.ofmap_buffers == 1:
        # The store has a phase of its own, before all others.
        nothing = np.zeros(tiles + 2)
        return SlotTimes(before=before, beside=nothing, behind=behind + main, reads=nothing, read_bytes=nothing)
    return SlotTimes(before=before, beside=main, behind=behind, reads=beside.cycles, read_bytes=beside.bytes)


def program_cycles(layers: Sequence[PlacedLayer], memory: MemoryTiming) -> tuple[list[LayerCycles], int]:
    """Return the cycles of each layer of a program, and those of a run of it, as the engine's register says."""
    cycles = [layer_cycles(layer, memory) for layer in layers]
    return cycles, sum(each.total for each in cycles)
