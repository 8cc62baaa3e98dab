"""What the engine counts of a program: iterations, words and bursts, each exactly as its Verilog does."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields

import numpy as np

from cost_models.engine.places import ProgramStep
from cost_models.engine.tiles import TiledLayer
from cost_models.engine.transfers import (
    Transfers,
    counter_transfers,
    input_lines,
    input_transfers,
    no_transfers,
    result_lines,
    result_transfers,
    setup_transfers,
    weight_transfers,
)
from cost_models.engine.walk import TileWalk, walk_tiles
from hw_templates.conv_engine.isa import LayerTrips
from hw_templates.foundation.arrays import IntArray


@dataclass(frozen=True)
class PortCount:
    """Words, of the port's width, and AXI bursts that pass a memory port."""

    words: int = 0
    bursts: int = 0

    def __add__(self, other: "PortCount") -> "PortCount":
        return PortCount(self.words + other.words, self.bursts + other.bursts)


@dataclass(frozen=True, kw_only=True)
class PortCounts:
    """Words and bursts of each memory port.

    The weight port also takes descriptors, parameters and tables; the ofmap port also takes the counters.
    """

    ifmap: PortCount
    weights: PortCount
    residual: PortCount
    ofmap: PortCount

    def __add__(self, other: "PortCounts") -> "PortCounts":
        return PortCounts(
            **{each.name: getattr(self, each.name) + getattr(other, each.name) for each in fields(PortCounts)}
        )


@dataclass(frozen=True, kw_only=True)
class StepCount:
    """The counts of one step: those that the engine writes to memory, and words and bursts of the ports.

    What of a step is fetched while the one before runs counts as the step's own.
    """

    trips: LayerTrips
    ports: PortCounts


@dataclass(frozen=True, kw_only=True, eq=False)
class SlotWork:
    """The work of each slot's tile: arrays and commands [slots]; a command that is not made has no words.

    Attributes:
        walk: which tile it is.
        iterations: in which it is computed.
        ifmap, weights, residual, ofmap: commands to the memory ports.
        loaded_lines, stored_lines: lines from and to the map memory.
    """

    walk: TileWalk
    iterations: IntArray
    ifmap: Transfers
    weights: Transfers
    residual: Transfers
    ofmap: Transfers
    loaded_lines: IntArray
    stored_lines: IntArray


def slot_work(step: ProgramStep) -> SlotWork:
    """Return what each slot's tile takes."""
    walk, places = walk_tiles(step.tiled), step.places
    return SlotWork(
        walk=walk,
        iterations=tile_iterations(step.tiled, walk),
        ifmap=input_transfers(step, walk).only(walk.fetches_ifmap),
        weights=weight_transfers(step, walk).only(walk.fetches_weights),
        residual=no_transfers(len(walk.rows))
        if places.residual is None
        else result_transfers(step, walk, places.residual).only(walk.finishes),
        ofmap=result_transfers(step, walk, places.ofmap).only(walk.finishes),
        loaded_lines=np.where(walk.fetches_ifmap, input_lines(step, walk), 0),
        stored_lines=np.where(walk.finishes, result_lines(step, walk), 0),
    )


def tile_iterations(tiled: TiledLayer, walk: TileWalk) -> IntArray:
    """Return the iterations that each slot's tile is computed in, [slots]."""
    accelerator = tiled.shape.accelerator
    outputs = np.array([tiled.groups_of(channels) for channels in tiled.out_tiles])
    inputs = np.array([-(-channels // accelerator.pe_cols) if tiled.dense else 1 for channels in tiled.in_tiles])
    rows = np.full(tiled.rows.tiles, tiled.rows.tile)
    rows[-1] = tiled.rows.last
    cols = np.full(tiled.cols.tiles, -(-tiled.cols.tile // accelerator.pe_pixels))
    cols[-1] = -(-tiled.cols.last // accelerator.pe_pixels)
    of_tile: IntArray = outputs[walk.outputs] * inputs[walk.inputs] * rows[walk.rows] * cols[walk.cols]
    return of_tile * tiled.layer.taps


def count_step(step: ProgramStep) -> StepCount:
    """Return what the engine counts of one step."""
    work, accelerator = slot_work(step), step.tiled.shape.accelerator
    return StepCount(
        trips=LayerTrips(
            compute_trips=int(work.iterations.sum()),
            ifmap_words=int(work.ifmap.words.sum() + work.loaded_lines.sum()),
            weight_words=int(work.weights.words.sum()) * accelerator.weight_port_words,
            ofmap_words=int(work.ofmap.words.sum() + work.stored_lines.sum()),
        ),
        ports=PortCounts(
            ifmap=_sum(work.ifmap),
            weights=_sum(work.weights) + _sum(setup_transfers(step)),
            residual=_sum(work.residual),
            ofmap=_sum(work.ofmap) + _sum(counter_transfers(step)),
        ),
    )


def count_program(steps: Sequence[ProgramStep]) -> tuple[list[StepCount], PortCounts]:
    """Return the counts of each step of a program, and what passes the ports in a run of it."""
    counts = [count_step(step) for step in steps]
    nothing = PortCounts(ifmap=PortCount(), weights=PortCount(), residual=PortCount(), ofmap=PortCount())
    return counts, sum((count.ports for count in counts), nothing)


def layer_trips(steps: Sequence[ProgramStep], counts: Sequence[StepCount]) -> list[LayerTrips]:
    """Return what the engine counts of each layer of a program: the sums over its steps."""
    totals = np.zeros((1 + max(step.layer for step in steps), len(fields(LayerTrips))), np.int64)
    for step, count in zip(steps, counts, strict=True):
        totals[step.layer] += astuple(count.trips)
    return [LayerTrips(*map(int, total)) for total in totals]


def _sum(transfers: Transfers) -> PortCount:
    return PortCount(int(transfers.words.sum()), int(transfers.bursts.sum()))
