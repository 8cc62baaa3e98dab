"""A table of prices: layers x accelerators, each pair with its best mapping."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cost_models.coefficients import Coefficients
from cost_models.energy import buffer_bytes, ddr_bytes, dynamic_energy_mj
from cost_models.latency import Timing, setup_cycles, slot_cycles
from cost_models.layer_columns import LayerColumns, by_kind
from cost_models.mapper import best_mappings
from cost_models.mapping import LoopOrder, Mapping
from cost_models.placement import Placement
from cost_models.tiling import ChannelTiling, Engine, PixelTiling
from cost_models.visits import RELOADS_IFMAP, RELOADS_WEIGHTS, VISITS, Traffic, visit_numbers
from cost_models.workload import Layer
from hw_templates.accelerator import Accelerator, AcceleratorColumns
from hw_templates.board import Board
from hw_templates.errors import MappingError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class LayerTable:
    """Layers priced on accelerators, each with its best mapping.

    Attributes:
        latency_cycles: [L, A]; inf where a layer has no legal mapping.
        energy_mj: [L, A] dynamic energy; inf likewise.
        candidates: how many legal (layer, accelerator, mapping) candidates were priced.
        calculated: how many of them in full; a lower bound ruled out the others.
        tiles: [4, L, A] output channels, input channels, height and width of a tile; 0 where nothing fits.
        channels_outer: [L, A] whether the loop order is ``channels_outer``.
    """

    latency_cycles: FloatArray
    energy_mj: FloatArray
    candidates: int
    calculated: int
    tiles: NDArray[np.int64]
    channels_outer: NDArray[np.bool_]

    def mapping(self, layer: int, accelerator: int) -> Mapping:
        """The best mapping of a layer on an accelerator, both by index.

        Raises:
            MappingError: there is none.
        """
        out_channels, in_channels, height, width = (int(size) for size in self.tiles[:, layer, accelerator])
        if not out_channels:
            raise MappingError(f"layer {layer} has no legal mapping on accelerator {accelerator}")
        order = LoopOrder.CHANNELS_OUTER if self.channels_outer[layer, accelerator] else LoopOrder.PIXELS_OUTER
        return Mapping(out_channels, in_channels, height, width, order)


@dataclass(frozen=True)
class PricedCases:
    """Cases, each a layer on an accelerator with a given mapping; arrays [cases], see :class:`LayerEstimate`."""

    latency_cycles: FloatArray
    energy_mj: FloatArray
    setup_cycles: FloatArray
    ddr_bytes: FloatArray
    ddr_cycles: FloatArray
    traffic: Traffic


def price_layers(
    layers: Sequence[Layer],
    accelerators: Sequence[Accelerator] | AcceleratorColumns,
    board: Board,
    coefficients: Coefficients,
    wanted: NDArray[np.bool_] | None = None,
    placements: Sequence[Placement] = (),
) -> LayerTable:
    """Price layers on accelerators, each with the mapping of least latency.

    Args:
        layers, accelerators: L and A of them.
        board, coefficients: see there.
        wanted: [L, A] which layers to price on which accelerators; None for all. What is not wanted reads as what has
            no legal mapping.
        placements: how each layer runs; none where all run alone from memory to memory. Whether the map memory holds
            what they say is not asked.

    >>> from cost_models.coefficients import load_coefficients
    >>> from cost_models.workload import Operation
    >>> from hw_templates.board import load_board
    >>> layer = Layer(Operation.CONV, 16, 32, 8, 8, 3, 3, 1, 1)
    >>> accelerator = Accelerator(16, 16, 1, 2, 8, 16, 8, 64, 100, 8)
    >>> table = price_layers([layer], [accelerator], load_board("pynq-z2"), load_coefficients())
    >>> table.latency_cycles.shape
    (1, 1)
    """
    columns = accelerators if isinstance(accelerators, AcceleratorColumns) else AcceleratorColumns.of(accelerators)
    shape = (len(layers), len(columns))
    latency, energy = np.full(shape, np.inf), np.full(shape, np.inf)
    tiles, channels_outer = np.zeros((4, *shape), dtype=np.int64), np.zeros(shape, dtype=bool)
    candidates = calculated = 0
    wanted = np.ones(shape, dtype=bool) if wanted is None else wanted
    for members in by_kind(layers, placements):
        member, column = np.nonzero(wanted[members])
        if not len(member):
            continue
        row = members[member]
        chosen = [placements[index] for index in members] if placements else ()
        kind = LayerColumns.of([layers[index] for index in members], chosen).take(member)
        best = best_mappings(kind, columns.take(column), board, coefficients.latency)
        tiles[:, row, column], channels_outer[row, column] = best.tiles, best.channels_outer
        candidates += best.candidates
        calculated += best.calculated
        found = np.flatnonzero(best.tiles[0])
        row, column = row[found], column[found]
        priced = price_mapped(
            kind.take(found),
            columns.take(column),
            best.tiles[:, found],
            best.channels_outer[found],
            board,
            coefficients,
        )
        latency[row, column], energy[row, column] = priced.latency_cycles, priced.energy_mj
    return LayerTable(latency, energy, candidates, calculated, tiles, channels_outer)


def price_mapped(
    layers: LayerColumns,
    accelerators: AcceleratorColumns,
    tiles: NDArray[np.int64],
    channels_outer: NDArray[np.bool_],
    board: Board,
    coefficients: Coefficients,
) -> PricedCases:
    """Price layer i on accelerator i with mapping i: tiles [4, cases] and loop orders as in :class:`LayerTable`."""
    engine = Engine.of(accelerators, np.float64)
    timing = Timing.of(engine, board, coefficients.latency)
    shapes, sizes = layers.astype(np.float64), tiles.astype(np.float64)
    channels = ChannelTiling.of(shapes, engine, sizes[0], sizes[1])
    total, runs = np.zeros(len(layers)), np.zeros(len(layers))
    traffic: Traffic | None = None
    for run, repeats in shapes.runs():
        pixels = PixelTiling.of(run, engine, sizes[2], sizes[3])
        numbers = visit_numbers(
            channels.outputs.count > 1,
            channels.inputs.count > 1,
            pixels.rows.count > 1,
            pixels.cols.count > 1,
            channels_outer,
        )
        cycles = np.empty(len(layers))
        for number, visit in enumerate(VISITS):
            rows = np.flatnonzero(numbers == number)
            if len(rows):
                cycles[rows] = slot_cycles(layers, timing.take(rows), visit, (channels, rows), (pixels, rows))
        ifmap_passes = np.where(RELOADS_IFMAP[numbers] & layers.dense, channels.outputs.count, 1)
        weight_passes = np.where(RELOADS_WEIGHTS[numbers], pixels.count, 1)
        moved = Traffic.of(run, channels, pixels, ifmap_passes, weight_passes)
        traffic = moved.times(repeats) if traffic is None else traffic.plus(moved.times(repeats))
        total += repeats * cycles
        runs += repeats
    assert traffic is not None
    setup = setup_cycles(shapes, engine, timing, runs)
    ddr = ddr_bytes(shapes, engine, traffic, runs)
    buffer = buffer_bytes(shapes, engine, channels, traffic)
    return PricedCases(
        latency_cycles=total + setup,
        energy_mj=dynamic_energy_mj(shapes.macs, buffer, ddr, coefficients.energy),
        setup_cycles=setup,
        ddr_bytes=ddr,
        ddr_cycles=ddr / engine.word * timing.ddr_cycles_per_word,
        traffic=traffic,
    )
