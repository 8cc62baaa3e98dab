"""Prices: a table of layers x accelerators, or one network on one accelerator."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from cost_models.coefficients import Coefficients
from cost_models.energy import buffer_bytes, ddr_bytes, dynamic_energy_mj
from cost_models.latency import Timing, setup_cycles, slot_cycles
from cost_models.mapper import BestMappings, best_mappings
from cost_models.mapping import Mapping, no_mapping_error
from cost_models.tiling import ChannelTiling, Engine, Inside, PixelTiling, Traffic, Visit
from cost_models.workload import Layer, Operation, Workload
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
        best: the mappings of each layer.
    """

    latency_cycles: FloatArray
    energy_mj: FloatArray
    candidates: int
    best: tuple[BestMappings, ...]

    def mapping(self, layer: int, accelerator: int) -> Mapping:
        """The best mapping of a layer on an accelerator, both by index.

        Raises:
            MappingError: there is none.
        """
        if not self.best[layer].found[accelerator]:
            raise MappingError(f"layer {layer} has no legal mapping on accelerator {accelerator}")
        return self.best[layer].mapping(accelerator)


@dataclass(frozen=True)
class LayerEstimate:
    """The price of one node.

    Attributes:
        name: the node.
        mapping: as the engine is to run it.
        latency_cycles: all of it, setup included.
        compute_cycles: trips of the compute pipeline, exact.
        load_cycles, store_cycles: words that the busier load port and the store port move, a word a cycle.
        setup_cycles: before the first slot.
        ddr_bytes: all that passes the DDR.
        energy_mj: dynamic.
        bound: what limits it: "compute", "ddr" (a port or the memory), or "overhead" where neither is busy for even
            half of the time.
    """

    name: str
    mapping: Mapping
    latency_cycles: float
    compute_cycles: int
    load_cycles: int
    store_cycles: int
    setup_cycles: float
    ddr_bytes: int
    energy_mj: float
    bound: str


@dataclass(frozen=True)
class Estimate:
    """The price of a network on an accelerator.

    Attributes:
        latency_ms, latency_cycles: of one inference.
        energy_mj: of one inference, idle power included.
        layers: in the order they run.
    """

    latency_ms: float
    latency_cycles: float
    energy_mj: float
    layers: tuple[LayerEstimate, ...]


@dataclass(frozen=True)
class MappedLayers:
    """One layer on A accelerators with given mappings, all arrays [A]; see :class:`LayerEstimate`."""

    latency_cycles: FloatArray
    energy_mj: FloatArray
    setup_cycles: FloatArray
    ddr_bytes: FloatArray
    ddr_cycles: FloatArray
    traffic: Traffic


@overload
def network_latency_cycles(layer_cycles: float, coefficients: Coefficients) -> float: ...
@overload
def network_latency_cycles(layer_cycles: FloatArray, coefficients: Coefficients) -> FloatArray: ...
def network_latency_cycles(layer_cycles: Any, coefficients: Coefficients) -> Any:
    """Cycles of one inference, of the sum of its layers' cycles: layers run one after the other."""
    return layer_cycles + coefficients.latency.start_cycles


@overload
def network_energy_mj(dynamic_mj: float, latency_ms: float, board: Board) -> float: ...
@overload
def network_energy_mj(dynamic_mj: FloatArray, latency_ms: FloatArray, board: Board) -> FloatArray: ...
def network_energy_mj(dynamic_mj: Any, latency_ms: Any, board: Board) -> Any:
    """Energy of one inference, of the sum of its layers' dynamic energy: with the board's idle power meanwhile."""
    return dynamic_mj + board.idle_power_w * latency_ms


def price_layers(
    layers: Sequence[Layer],
    accelerators: Sequence[Accelerator] | AcceleratorColumns,
    board: Board,
    coefficients: Coefficients,
) -> LayerTable:
    """Price every layer on every accelerator, each with the mapping of least latency.

    >>> from cost_models.coefficients import load_coefficients
    >>> from hw_templates.board import load_board
    >>> layer = Layer(Operation.CONV, 16, 32, 8, 8, 3, 3, 1, 1)
    >>> accelerator = Accelerator(16, 16, 1, 2, 8, 16, 8, 64, 100, 8)
    >>> table = price_layers([layer], [accelerator], load_board("pynq-z2"), load_coefficients())
    >>> table.latency_cycles.shape
    (1, 1)
    """
    columns = accelerators if isinstance(accelerators, AcceleratorColumns) else AcceleratorColumns.of(accelerators)
    latency = np.full((len(layers), len(columns)), np.inf)
    energy = np.full((len(layers), len(columns)), np.inf)
    # Neighbours that cut channels alike share rows of the mapper's tables.
    order = np.lexsort([getattr(columns, name) for name in ("ifmap_kib", "pe_pixels", "pe_cols", "pe_rows")])
    alike = columns.take(order)
    best = []
    for row, layer in enumerate(layers):
        found = best_mappings(layer, alike, board, coefficients.latency)
        tiles, channels_outer = np.empty_like(found.tiles), np.empty_like(found.channels_outer)
        tiles[:, order], channels_outer[order] = found.tiles, found.channels_outer
        best.append(BestMappings(tiles, channels_outer, found.candidates))
        mapped = np.flatnonzero(best[-1].found)
        priced = price_mapped(
            layer, columns.take(mapped), tiles[:, mapped], channels_outer[mapped], board, coefficients
        )
        latency[row, mapped], energy[row, mapped] = priced.latency_cycles, priced.energy_mj
    return LayerTable(latency, energy, sum(one.candidates for one in best), tuple(best))


def price_mapped(
    layer: Layer,
    accelerators: AcceleratorColumns,
    tiles: NDArray[np.int64],
    channels_outer: NDArray[np.bool_],
    board: Board,
    coefficients: Coefficients,
) -> MappedLayers:
    """Price one layer on each accelerator with the given mapping: tiles [4, A] as in :class:`BestMappings`."""
    engine = Engine.of(accelerators, np.float64)
    timing = Timing.of(engine, board, coefficients.latency)
    sizes = tiles.astype(np.float64)
    channels = ChannelTiling.of(layer, engine, sizes[0], sizes[1])
    pixels = PixelTiling.of(layer, engine, sizes[2], sizes[3])
    visits = [_visit(layer, *one) for one in zip(*tiles.tolist(), channels_outer.tolist(), strict=True)]
    cycles = np.empty(len(accelerators))
    for visit in set(visits):
        rows = np.flatnonzero([one == visit for one in visits])
        cycles[rows] = slot_cycles(layer, timing.take(rows), visit, (channels, rows), (pixels, rows))
    inputs = np.array([visit.inside == Inside.INPUTS for visit in visits], dtype=bool)
    inner_pixels = np.array([visit.inside in (Inside.PIXELS, Inside.NONE) for visit in visits], dtype=bool)
    inner_channels = ~inputs & ~inner_pixels
    reloads_ifmap = ~inner_channels & (layer.operation == Operation.CONV)
    traffic = Traffic.of(
        layer,
        channels,
        pixels,
        ifmap_passes=np.where(reloads_ifmap, channels.outputs.count, 1),
        weight_passes=np.where(inner_pixels, 1, pixels.count),
    )
    setup = setup_cycles(layer, engine, timing)
    ddr = ddr_bytes(layer, engine, traffic)
    buffer = buffer_bytes(layer, engine, channels, traffic)
    return MappedLayers(
        latency_cycles=cycles + setup,
        energy_mj=dynamic_energy_mj(layer.macs, buffer, ddr, coefficients.energy),
        setup_cycles=setup,
        ddr_bytes=ddr,
        ddr_cycles=ddr / engine.word * timing.ddr_cycles_per_word,
        traffic=traffic,
    )


def _visit(layer: Layer, out_channels: int, in_channels: int, height: int, width: int, channels_outer: bool) -> Visit:
    """How a mapping's tiles follow each other."""
    single_in = layer.operation != Operation.CONV or in_channels >= layer.in_channels
    single_out, many_cols = out_channels >= layer.out_channels, width < layer.out_width
    many_pixels = many_cols or height < layer.out_height
    if not single_in:
        inside = Inside.INPUTS
    elif not single_out and not (channels_outer and many_pixels):
        inside = Inside.CHANNELS
    else:
        inside = Inside.PIXELS if many_pixels else Inside.NONE
    return Visit(inside, single_out, many_cols)


def _layer_estimate(name: str, mapping: Mapping, priced: MappedLayers) -> LayerEstimate:
    """The first accelerator's numbers as plain values."""
    traffic = priced.traffic
    trips, ofmap_words = int(traffic.trips[0]), int(traffic.ofmap_words[0])
    load_cycles = int(max(traffic.ifmap_words[0], traffic.weight_words[0]))
    latency = float(priced.latency_cycles[0])
    memory = max(load_cycles, ofmap_words, float(priced.ddr_cycles[0]))
    bound = "overhead" if 2 * max(trips, memory) < latency else "compute" if trips >= memory else "ddr"
    return LayerEstimate(
        name=name,
        mapping=mapping,
        latency_cycles=latency,
        compute_cycles=trips,
        load_cycles=load_cycles,
        store_cycles=ofmap_words,
        setup_cycles=float(priced.setup_cycles[0]),
        ddr_bytes=int(priced.ddr_bytes[0]),
        energy_mj=float(priced.energy_mj[0]),
        bound=bound,
    )


def price(workload: Workload, accelerator: Accelerator, board: Board, coefficients: Coefficients) -> Estimate:
    """Price a network on one accelerator, each layer with the mapping of least latency.

    Raises:
        MappingError: a layer has no legal mapping; names it, and the least buffers that would do.
    """
    columns = AcceleratorColumns.of([accelerator])
    unique = tuple(dict.fromkeys(workload.layers))
    table = price_layers(unique, columns, board, coefficients)
    rows = {layer: row for row, layer in enumerate(unique)}
    estimates = []
    for node in workload:
        best = table.best[rows[node.layer]]
        if not best.found[0]:
            raise no_mapping_error(node.name, node.layer, accelerator)
        priced = price_mapped(node.layer, columns, best.tiles, best.channels_outer, board, coefficients)
        estimates.append(_layer_estimate(node.name, best.mapping(0), priced))
    layers = tuple(estimates)
    latency_cycles = network_latency_cycles(sum(layer.latency_cycles for layer in layers), coefficients)
    latency_ms = latency_cycles / (accelerator.clock_mhz * 1e3)
    energy_mj = network_energy_mj(sum(layer.energy_mj for layer in layers), latency_ms, board)
    return Estimate(latency_ms, latency_cycles, energy_mj, layers)
