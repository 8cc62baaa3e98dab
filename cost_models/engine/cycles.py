"""Cycles of each step of a program of version 5: what the engine's Verilog takes, slot by slot, without running it.

A step has a slot for each tile, and two more in which the last tile is computed and stored. In a slot the stages run
side by side; where a buffer is single, the store comes first, or the loads last. Descriptor, parameters and table of
the next step are fetched as one more stage of a slot, and its first tile beside the last store (``early``), so the
first step alone has a setup. Between two steps the counters are written; behind the last one the engine waits for the
last response. The constants are read from the Verilog; ``benchmarks/engine_cycles.py`` compares what comes out with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cost_models.engine.counts import SlotWork, slot_work
from cost_models.engine.places import ProgramStep
from cost_models.engine.reads import NO_STREAM, PORTS, Stream, phase_loads, setup_cycles, setup_stream, streams_of
from cost_models.engine.stages import MemoryTiming, compute_cycles, map_load_cycles, map_store_cycles
from cost_models.engine.stores import DRAIN_CYCLES, SlotTimes, Stores, WritePort, store_scan, stores_of
from cost_models.engine.transfers import Transfers, counter_transfers
from hw_templates.conv_engine.engine_shape import EngineShape
from hw_templates.foundation.arrays import FloatArray, IntArray

TAKE_CYCLES, DECIDE_CYCLES, SHIFT_CYCLES = 1, 1, 1
"""Of a slot outside its phases: to take the tile that is fetched, to decide, and behind them (``sequencer.v``)."""
TURN_CYCLES = 14
"""In place of taking a tile: to turn to the next step and walk to its first tile (``tile_walk.v``)."""
LEAST_PHASE = 2
"""A phase in which nothing runs."""
TABLE_CYCLES = 256
"""From a step's begin until its activation table is in the lanes."""
FIRST_WORD, FIRST_COUNTER = 20, 3
"""From a store's start to its first word: start (3) and the way through the lanes (17); of counters, the start."""
LAST_WORD, LAST_COUNTER = 18, -1
"""From the issue of a store's last word until it is done; that of counters is done a cycle behind its words."""


@dataclass(frozen=True, kw_only=True, eq=False)
class StepCycles:
    """Cycles of a step.

    Attributes:
        setup: before its first slot: in the first step until it is described, in others while counters are written.
        slots: of each slot of its own, [tiles + 2], or one fewer where the first tile is fetched in the step before.
        drain: behind the last slot of the program: until its counters are written and all is in memory.
    """

    setup: float
    slots: FloatArray
    drain: float

    @property
    def counted(self) -> int:
        """Cycles that the engine writes as ``total_cycles``: all but the drain, from the cycle behind its begin on."""
        return round(self.setup + float(self.slots.sum())) - 1

    @property
    def total(self) -> int:
        """All cycles, drain included."""
        return round(self.setup + float(self.slots.sum()) + self.drain)


_SLOT = np.dtype(
    [
        *((name, np.float64) for name in ("before", "compute", "map_load", "map_store", *Stores._fields)),
        *((port, np.int64) for port in PORTS),
        *((name, np.bool_) for name in ("fetches", "waits", "copies", "counts")),
    ]
)
"""A slot: cycles before its first phase, of its computation, and of its load from and store to the map memory; what
goes to memory; which stream comes over each port, 0 for none; whether a tile is fetched, whether all responses are
waited for, whether a table is copied into the lanes from its begin on, and whether it is that in which counters are
written."""
_Slots = npt.NDArray[np.void]


def program_cycles(steps: Sequence[ProgramStep], memory: MemoryTiming) -> tuple[list[StepCycles], int]:
    """Return the cycles of each step of a program, and those of a run of it, as the engine's register says."""
    shape = steps[0].tiled.shape
    work = [slot_work(step) for step in steps]
    streams = [NO_STREAM]
    parts = [_slots_of(steps, work, index, streams) for index in range(len(steps))]
    port = WritePort(
        latency=float(memory.latency_cycles),
        word_bytes=float(shape.accelerator.axi_bytes),
        bytes_a_cycle=float(memory.bytes_a_cycle),
    )
    slots = np.concatenate(parts)
    stores = Stores(*(np.ascontiguousarray(slots[name]) for name in Stores._fields))
    ends, free = store_scan(_slot_times(shape, slots, streams, memory), stores, port)
    durations = np.split(np.diff(ends, prepend=0.0), np.cumsum([len(part) for part in parts])[:-1])
    setups = [setup_cycles(steps[0], memory), *(float(each[-1]) for each in durations)]
    drain = free.words + port.latency + DRAIN_CYCLES - float(ends[-1] - durations[-1][-1])
    cycles = [
        StepCycles(setup=setup, slots=each[:-1], drain=drain if index == len(steps) - 1 else 0.0)
        for index, (setup, each) in enumerate(zip(setups, durations, strict=False))
    ]
    return cycles, sum(each.total for each in cycles)


def step_cycles(step: ProgramStep, memory: MemoryTiming) -> StepCycles:
    """Return the cycles of a step that is a program of its own."""
    return program_cycles([step], memory)[0][0]


def _slots_of(steps: Sequence[ProgramStep], work: Sequence[SlotWork], index: int, streams: list[Stream]) -> _Slots:
    """Return the slots of one step of a program, with that in which its counters are written; [slots].

    What they load is added to ``streams``.
    """
    step, mine = steps[index], work[index]
    tiles = len(mine.iterations)
    slots = np.zeros(tiles + 3, _SLOT)
    storing, counting = tiles + 1, tiles + 2
    slots["before"][:tiles] = TAKE_CYCLES + DECIDE_CYCLES
    slots["before"][[0, tiles, storing]] = DECIDE_CYCLES if index else TURN_CYCLES, DECIDE_CYCLES, DECIDE_CYCLES
    slots["compute"][1:storing] = compute_cycles(step.tiled.shape, mine.iterations)
    slots["map_load"][:tiles] = map_load_cycles(mine.loaded_lines)
    slots["map_store"][2:counting] = map_store_cycles(mine.stored_lines)
    for part, transfers in (
        (slice(0, counting), mine.ofmap.later(2)),
        (slice(counting, None), counter_transfers(step)),
    ):
        for name, values in zip(Stores._fields, stores_of(transfers), strict=True):
            slots[name][part] = values
    slots["ifmap"][:tiles] = _load(mine.ifmap, streams)
    slots["weights"][:tiles] = _load(mine.weights, streams)
    slots["residual"][:counting] = _load(mine.residual.later(1), streams)
    slots["fetches"][:tiles] = True
    slots["waits"][0] = (step.waits & 5) > 0
    slots["waits"][1] = step.waits & 2 or (step.waits & 1 and mine.walk.fetches_ifmap[1:2].any())
    slots["counts"][counting] = True
    if index + 1 < len(steps):
        _fetch_next(slots, steps[index + 1], work[index + 1], mine, streams)
    # What is early of this step was fetched in the last slot of the one before.
    kept = slots[1:] if step.early == 2 else slots
    if step.early == 1:
        kept["weights"][0] = 0
    kept["copies"][0] = step.load_table
    return kept


def _fetch_next(slots: _Slots, step: ProgramStep, work: SlotWork, before: SlotWork, streams: list[Stream]) -> None:
    """Add what is fetched of the next step to the slots of the step before it, and to ``streams``."""
    accelerator, storing = step.tiled.shape.accelerator, len(slots) - 2
    # Descriptor, parameters and table come in the first slot whose tile loads no weights beside its computation.
    loads_weights = np.zeros(storing, bool)
    loads_weights[: storing - 1] = before.walk.fetches_weights & (accelerator.weight_buffers == 2)
    slot = 1 + int(np.argmin(loads_weights[1:]))
    slots["next"][slot] = len(streams)
    streams.append(setup_stream(step))
    last, only = slots[storing : storing + 1], np.zeros(1, np.int64)
    last["before"], last["fetches"] = TURN_CYCLES, True
    if not step.early:
        return
    last["waits"] = step.waits & 4 or (step.waits & 1 and step.early == 2)
    last["weights"] = _load(work.weights.take(only), streams)
    if step.early == 2:
        last["ifmap"] = _load(work.ifmap.take(only), streams)
        last["map_load"] = map_load_cycles(work.loaded_lines[:1])


def _load(transfers: Transfers, streams: list[Stream]) -> IntArray:
    """Return the index of the stream of each command, [commands]; the streams are added to ``streams``."""
    first = len(streams)
    streams += streams_of(transfers)
    of_commands: IntArray = np.where(transfers.words > 0, first + transfers.pattern, 0)
    return of_commands


def _slot_times(shape: EngineShape, slots: _Slots, streams: Sequence[Stream], memory: MemoryTiming) -> SlotTimes:
    """Return what each slot takes besides its store to memory, [slots]."""
    accelerator, counts = shape.accelerator, slots["counts"]
    single = {"ifmap": accelerator.ifmap_buffers == 1, "weights": accelerator.weight_buffers == 1}
    loads = np.stack([slots[port] for port in PORTS], 1)
    is_late = np.array([single.get(port, False) for port in PORTS])
    beside = phase_loads(shape, np.where(is_late, 0, loads), streams, memory)
    late = phase_loads(shape, np.where(is_late, loads, 0), streams, memory).cycles
    main = np.maximum(np.maximum(slots["compute"], beside.cycles), LEAST_PHASE)
    if single["ifmap"]:
        late = np.maximum(late, slots["map_load"])
    else:
        main = np.maximum(main, slots["map_load"])
    main = np.where(counts, 0.0, main)
    behind = np.where(counts, 0.0, float(SHIFT_CYCLES))
    if any(single.values()):
        behind += np.where(slots["fetches"], np.maximum(late, LEAST_PHASE), 0.0)
    reads, read_bytes, first_phase = beside.cycles, beside.bytes, np.maximum(main, slots["map_store"])
    if accelerator.ofmap_buffers == 1:
        # The store has a phase of its own, before all others.
        reads = read_bytes = np.zeros(len(main))
        first_phase, behind = np.ascontiguousarray(slots["map_store"]), behind + main
    return SlotTimes(
        before=np.ascontiguousarray(slots["before"]),
        beside=first_phase,
        behind=behind,
        reads=reads,
        read_bytes=read_bytes,
        first_word=np.where(counts, float(FIRST_COUNTER), float(FIRST_WORD)),
        last_word=np.where(counts, float(LAST_COUNTER), float(LAST_WORD)),
        table=np.where(slots["copies"], float(TABLE_CYCLES), 0.0),
        waits_table=((slots["map_store"] > 0) | (slots["words"] > 0)) & ~counts,
        waits_responses=np.ascontiguousarray(slots["waits"]),
    )
