"""What the engine counts of a program: iterations, words and bursts, each exactly as its Verilog does."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from cost_models.engine.places import PlacedLayer
from cost_models.engine.tiles import TiledLayer
from cost_models.engine.transfers import (
    Transfers,
    counter_transfers,
    input_transfers,
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
class LayerCount:
    """The counts of one layer: those that the engine writes to memory, and words and bursts of its ports."""

    trips: LayerTrips
    ports: PortCounts


@dataclass(frozen=True, kw_only=True, eq=False)
class SlotWork:
    """The work of each slot's tile: arrays and commands [slots]; a command that is not made has no words."""

    walk: TileWalk
    iterations: IntArray
    ifmap: Transfers
    weights: Transfers
    residual: Transfers
    ofmap: Transfers


def slot_work(layer: PlacedLayer) -> SlotWork:
    """Return what each slot's tile takes."""
    walk = walk_tiles(layer.tiled)
    residual = np.zeros_like(walk.rows, bool) if layer.places.residual is None else walk.finishes
    added = layer.places.residual or layer.places.ofmap
    return SlotWork(
        walk=walk,
        iterations=tile_iterations(layer.tiled, walk),
        ifmap=input_transfers(layer, walk).only(walk.fetches_ifmap),
        weights=weight_transfers(layer, walk).only(walk.fetches_weights),
        residual=result_transfers(layer, walk, added).only(residual),
        ofmap=result_transfers(layer, walk, layer.places.ofmap).only(walk.finishes),
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


def count_layer(layer: PlacedLayer) -> LayerCount:
    """Return what the engine counts of one layer."""
    work, accelerator = slot_work(layer), layer.tiled.shape.accelerator
    return LayerCount(
        trips=LayerTrips(
            compute_trips=int(work.iterations.sum()),
            ifmap_words=int(work.ifmap.words.sum()),
            weight_words=int(work.weights.words.sum()) * accelerator.weight_port_words,
            ofmap_words=int(work.ofmap.words.sum()),
        ),
        ports=PortCounts(
            ifmap=_sum(work.ifmap),
            weights=_sum(work.weights) + _sum(setup_transfers(layer)),
            residual=_sum(work.residual),
            ofmap=_sum(work.ofmap) + _sum(counter_transfers(layer)),
        ),
    )


def count_program(layers: Sequence[PlacedLayer]) -> tuple[list[LayerCount], PortCounts]:
    """Return the counts of each layer of a program, and what passes the ports in a run of it."""
    counts = [count_layer(layer) for layer in layers]
    nothing = PortCounts(ifmap=PortCount(), weights=PortCount(), residual=PortCount(), ofmap=PortCount())
    return counts, sum((count.ports for count in counts), nothing)


def _sum(transfers: Transfers) -> PortCount:
    return PortCount(int(transfers.words.sum()), int(transfers.bursts.sum()))
