"""What of each step of a program begins while the step before still stores, and what waits for results.

The first tile of a step may be fetched beside the last store of the step before (``early``). What was written to memory
can be read once all writes before have their responses, for which the engine waits where a step says so (``waits``):
before it fetches the first two parts of the ifmap, before slot 1, from which on a map that is added is fetched, and
before it fetches a gate.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from codesign.emit.plan import PlannedStep
from cost_models.coefficients import MEMORY_LATENCY_CYCLES
from cost_models.engine.cycles import program_cycles
from cost_models.engine.places import ProgramStep
from cost_models.engine.stages import MemoryTiming
from cost_models.engine.walk import walk_tiles

EARLY_WEIGHTS, EARLY_IFMAP = 1, 2
"""Values of ``early`` besides 0: what of the first tile is fetched early."""
IFMAP_WAITS, SLOT_WAITS, GATE_WAITS = 1, 2, 4
"""Bits of ``waits``: the first two parts of the ifmap, slot 1, a gate."""
TYPICAL_MEMORY = MemoryTiming(latency_cycles=MEMORY_LATENCY_CYCLES)
"""For which it is decided what is worth fetching early."""


@dataclass(frozen=True, kw_only=True)
class _Choice:
    """A way to begin a step: values of its fields, and the number of steps whose results are all in memory then."""

    early: int
    waits: int
    settled: int


def overlapped(planned: Sequence[PlannedStep], placed: Sequence[ProgramStep]) -> tuple[ProgramStep, ...]:
    """Return the steps of a program with what each fetches early and waits for, and without tables that stay.

    Of what may be early that is chosen with which the step and the one before it take the fewest stated cycles.
    """
    steps = [placed[0]]
    last_made = {planned[0].node.name: 0}
    settled = 0
    for index in range(1, len(planned)):
        choices = list(_choices(planned, index, settled, last_made))
        tables = planned[index].node.data.table, planned[index - 1].node.data.table
        step = replace(placed[index], load_table=not np.array_equal(*tables))
        best = choices[0]
        # Nothing is better than to fetch all early, and to wait for nothing.
        if len(choices) > 1 and (best.early, best.waits) != (EARLY_IFMAP, 0):
            best = min(choices, key=lambda choice: _cycles(placed[index - 1], step, choice))
        steps.append(replace(step, early=best.early, waits=best.waits))
        settled = best.settled
        last_made[planned[index].node.name] = index
    return tuple(steps)


def _cycles(before: ProgramStep, step: ProgramStep, choice: _Choice) -> int:
    """Return the stated cycles of a step and the one before it."""
    chosen = replace(step, layer=1, early=choice.early, waits=choice.waits)
    return program_cycles([replace(before, layer=0), chosen], TYPICAL_MEMORY)[1]


def _choices(planned: Sequence[PlannedStep], index: int, settled: int, last_made: dict[str, int]) -> Iterator[_Choice]:
    """Yield the ways to begin a step, the earliest first.

    Args:
        planned: the program's steps.
        index: of the step.
        settled: results of as many steps are all in memory when the step before stores its last tile.
        last_made: the last step before this one that makes some of a map; no map is there that was given.
    """
    step, before = planned[index], planned[index - 1]
    node = step.node
    ifmap_made = -1 if node.placement.ifmap_ring else last_made.get(node.ifmap, -1)
    gate_made = -1 if node.gate is None else last_made.get(node.gate, -1)
    residual_made = -1 if node.residual is None else last_made.get(node.residual, -1)
    fetches = walk_tiles(step.tiled).fetches_ifmap
    for early in (EARLY_IFMAP, EARLY_WEIGHTS, 0):
        there, waits = settled, 0
        if early and gate_made == index - 1:
            continue
        if early == EARLY_IFMAP and not _is_there(step, before):
            continue
        # What is fetched beside the last store waits before it, for all but what that makes.
        if early and gate_made >= there:
            waits |= GATE_WAITS
        if early == EARLY_IFMAP and ifmap_made >= there:
            waits |= IFMAP_WAITS
        if waits:
            there = max(there, index - 1)
        # The rest waits before slot 0.
        if early < EARLY_IFMAP and ifmap_made >= there:
            waits |= IFMAP_WAITS
        if not early and gate_made >= there:
            waits |= GATE_WAITS
        if early < EARLY_IFMAP and waits:
            there = index
        # And before slot 1: for the second part of the map if it comes then, or whatever comes behind it.
        if waits & IFMAP_WAITS and fetches[1:2].any():
            there = index
        if residual_made >= there or (fetches[1:].any() and ifmap_made >= there):
            waits, there = waits | SLOT_WAITS, index
        yield _Choice(early=early, waits=waits, settled=there)


def _is_there(step: PlannedStep, before: PlannedStep) -> bool:
    """Return whether the first tile's part of the input map is made before the step before stores its last tile."""
    if step.node.ifmap != before.node.name:
        return step.half_read is None or step.half_read != before.half_made
    accelerator = step.tiled.shape.accelerator
    if step.half_read is not None and 1 in (accelerator.ifmap_buffers, accelerator.ofmap_buffers):
        return True  # a store has a phase before the loads, or these have one behind it
    return any(end <= begin for end, begin in zip(_first_tile_reads(step), _last_tile_makes(before), strict=True))


def _first_tile_reads(step: PlannedStep) -> tuple[int, int, int]:
    """Return the ends of the rows, columns and channels of the input map that the first tile reads."""
    tiled = step.tiled
    halves = 2 if tiled.layer.repeat else 1
    rows, cols = (axis.extent(axis.tile) - axis.padding for axis in (tiled.rows, tiled.cols))
    channels = (tiled.in_tiles if tiled.dense else tiled.out_tiles)[0]
    return -(-(step.rows_read[0] + rows) // halves), -(-cols // halves), channels


def _last_tile_makes(step: PlannedStep) -> tuple[int, int, int]:
    """Return the first row, column and channel that the last tile makes, which makes all behind them."""
    tiled = step.tiled
    rows, cols = ((axis.tiles - 1) * axis.tile for axis in (tiled.rows, tiled.cols))
    return step.rows[0] + rows, cols, 0 if tiled.keeps_sums else tiled.layer.out_channels - tiled.out_tiles[-1]
