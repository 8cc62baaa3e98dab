"""Prices: a table of layers x accelerators, or one network on one accelerator."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from cost_models.coefficients import Coefficients
from cost_models.energy import buffer_bytes, ddr_bytes, dynamic_energy_mj
from cost_models.latency import Timing, setup_cycles, slot_cycles
from cost_models.layer_columns import LayerColumns, by_kind
from cost_models.mapper import best_mappings
from cost_models.mapping import LoopOrder, Mapping, no_mapping_error
from cost_models.tiling import ChannelTiling, Engine, PixelTiling
from cost_models.visits import RELOADS_IFMAP, RELOADS_WEIGHTS, VISITS, Traffic, visit_numbers
from cost_models.workload import Layer, Workload
from hw_templates.accelerator import Accelerator, AcceleratorColumns
from hw_templates.board import Board
from hw_templates.errors import InvalidValueError, MappingError

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
class LayerEstimate:
    """The price of one node.

    Attributes:
        name: the node.
        mapping: as the engine is to run it.
        latency_cycles: all of it, setup included.
        compute_cycles: trips of the compute pipeline, exact.
        ifmap_words, weight_words, ofmap_words: memory words that these ports move, exact; a port moves one a cycle.
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
    ifmap_words: int
    weight_words: int
    ofmap_words: int
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
class PricedCases:
    """Cases, each a layer on an accelerator with a given mapping; arrays [cases], see :class:`LayerEstimate`."""

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
    wanted: NDArray[np.bool_] | None = None,
) -> LayerTable:
    """Price layers on accelerators, each with the mapping of least latency.

    Args:
        layers, accelerators: L and A of them.
        board, coefficients: see there.
        wanted: [L, A] which layers to price on which accelerators; None for all. What is not wanted reads as what has
            no legal mapping.

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
    for members in by_kind(layers):
        member, column = np.nonzero(wanted[members])
        if not len(member):
            continue
        row = members[member]
        kind = LayerColumns.of([layers[index] for index in members]).take(member)
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
    pixels = PixelTiling.of(shapes, engine, sizes[2], sizes[3])
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
    traffic = Traffic.of(shapes, channels, pixels, ifmap_passes, weight_passes)
    setup = setup_cycles(shapes, engine, timing)
    ddr = ddr_bytes(shapes, engine, traffic)
    buffer = buffer_bytes(shapes, engine, channels, traffic)
    return PricedCases(
        latency_cycles=cycles + setup,
        energy_mj=dynamic_energy_mj(shapes.macs, buffer, ddr, coefficients.energy),
        setup_cycles=setup,
        ddr_bytes=ddr,
        ddr_cycles=ddr / engine.word * timing.ddr_cycles_per_word,
        traffic=traffic,
    )


def _layer_estimate(name: str, mapping: Mapping, priced: PricedCases) -> LayerEstimate:
    """The first case as plain values."""
    traffic = priced.traffic
    trips, ofmap_words = int(traffic.trips[0]), int(traffic.ofmap_words[0])
    ifmap_words, weight_words = int(traffic.ifmap_words[0]), int(traffic.weight_words[0])
    latency = float(priced.latency_cycles[0])
    memory = max(ifmap_words, weight_words, ofmap_words, float(priced.ddr_cycles[0]))
    bound = "overhead" if 2 * max(trips, memory) < latency else "compute" if trips >= memory else "ddr"
    return LayerEstimate(
        name=name,
        mapping=mapping,
        latency_cycles=latency,
        compute_cycles=trips,
        ifmap_words=ifmap_words,
        weight_words=weight_words,
        ofmap_words=ofmap_words,
        setup_cycles=float(priced.setup_cycles[0]),
        ddr_bytes=int(priced.ddr_bytes[0]),
        energy_mj=float(priced.energy_mj[0]),
        bound=bound,
    )


def price_mappings(
    workload: Workload,
    mappings: Sequence[Mapping],
    accelerator: Accelerator,
    board: Board,
    coefficients: Coefficients,
) -> Estimate:
    """Price a network on one accelerator with the given mapping of each node.

    Raises:
        InvalidValueError: not one mapping a node, or one breaks a rule of shape.
        MappingError: a tile does not fit a buffer; names the buffer and the least size that would do.
    """
    if len(mappings) != len(workload):
        raise InvalidValueError("mappings", len(mappings), f"one for each of the {len(workload)} layers")
    coefficients.check_use(board.name, workload.layers, [accelerator])
    columns = AcceleratorColumns.of([accelerator])
    estimates = []
    for node, mapping in zip(workload, mappings, strict=True):
        mapping.check(node.layer, accelerator)
        sizes = (mapping.tile_out_channels, mapping.tile_in_channels, mapping.tile_height, mapping.tile_width)
        tiles = np.array(sizes, dtype=np.int64)[:, None]
        channels_outer = np.array([mapping.loop_order == LoopOrder.CHANNELS_OUTER])
        layer = LayerColumns.of([node.layer])
        priced = price_mapped(layer, columns, tiles, channels_outer, board, coefficients)
        estimates.append(_layer_estimate(node.name, mapping, priced))
    layers = tuple(estimates)
    latency_cycles = network_latency_cycles(sum(layer.latency_cycles for layer in layers), coefficients)
    latency_ms = latency_cycles / (accelerator.clock_mhz * 1e3)
    energy_mj = network_energy_mj(sum(layer.energy_mj for layer in layers), latency_ms, board)
    return Estimate(latency_ms, latency_cycles, energy_mj, layers)


def price(workload: Workload, accelerator: Accelerator, board: Board, coefficients: Coefficients) -> Estimate:
    """Price a network on one accelerator, each layer with the mapping of least latency.

    Raises:
        MappingError: a layer has no legal mapping; names it, and the least buffers that would do.
    """
    unique = tuple(dict.fromkeys(workload.layers))
    table = price_layers(unique, [accelerator], board, coefficients)
    rows = {layer: row for row, layer in enumerate(unique)}
    for node in workload:
        if not np.isfinite(table.latency_cycles[rows[node.layer], 0]):
            raise no_mapping_error(node.name, node.layer, accelerator)
    mappings = [table.mapping(rows[layer], 0) for layer in workload.layers]
    return price_mappings(workload, mappings, accelerator, board, coefficients)
