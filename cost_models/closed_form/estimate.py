"""The price of one network on one accelerator."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from cost_models.closed_form.fusion import best_placements
from cost_models.closed_form.layer_prices import LayerPrices, MappedLayers
from cost_models.closed_form.layer_table import price_layers
from cost_models.coefficients import Coefficients
from cost_models.mapping.mapped_layer import MappedLayer
from cost_models.mapping.mapping import no_mapping_error
from cost_models.mapping.placement import IN_MEMORY
from cost_models.workload import Workload
from hw_templates.board import Board
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.arrays import FloatArray
from hw_templates.foundation.errors import InvalidValueError

Number = TypeVar("Number", float, FloatArray)


@dataclass(frozen=True, kw_only=True)
class LayerEstimate:
    """The price of one node.

    Attributes:
        name: the node.
        mapped: its layer as the engine is to run it.
        latency_cycles: of the whole layer, setup included.
        compute_cycles: iterations of the compute pipeline, exact.
        ifmap_words, weight_words, ofmap_words: memory words that these ports move, or lines of the map memory, exact;
            one a cycle.
        setup_cycles: before the first slot.
        ddr_bytes: all that passes the DDR.
        energy_mj: dynamic.
        bound: what limits it: "compute", "ddr" (a port or the memory), or "overhead" where neither is busy for even
            half of the time.
    """

    name: str
    mapped: MappedLayer
    latency_cycles: float
    compute_cycles: int
    ifmap_words: int
    weight_words: int
    ofmap_words: int
    setup_cycles: float
    ddr_bytes: int
    energy_mj: float
    bound: str


@dataclass(frozen=True, kw_only=True)
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

    @property
    def mapped(self) -> tuple[MappedLayer, ...]:
        """The layers as the engine is to run them."""
        return tuple(layer.mapped for layer in self.layers)


def network_latency_cycles(layer_cycles: Number, coefficients: Coefficients) -> Number:
    """Return the cycles of one inference from the sum of its layers' cycles: layers run one after the other."""
    return layer_cycles + coefficients.latency.start_cycles


def network_energy_mj(dynamic_mj: Number, latency_ms: Number, board: Board) -> Number:
    """Return the energy of one inference from the sum of its layers' dynamic energy: idle power is added."""
    return dynamic_mj + board.idle_power_w * latency_ms


def map_workload(
    workload: Workload, accelerator: Accelerator, board: Board, coefficients: Coefficients
) -> tuple[MappedLayer, ...]:
    """Map each layer of a network: its blocks run in the way, each layer with the mapping, of least latency.

    Raises:
        MappingError: a layer has no legal mapping; names it, and the least buffers that would do.
    """
    placements = best_placements(workload, accelerator, board, coefficients)
    placed = [(node.layer, placements.get(node.name, IN_MEMORY)) for node in workload]
    rows = {run: row for row, run in enumerate(dict.fromkeys(placed))}
    layers, ways = zip(*rows, strict=True)
    table = price_layers(layers, [accelerator], board, coefficients, placements=ways)
    for node, run in zip(workload, placed, strict=True):
        if not np.isfinite(table.latency_cycles[rows[run], 0]):
            raise no_mapping_error(node.name, node.layer, accelerator)
    return tuple(MappedLayer(run[0], table.mapping(rows[run], 0), run[1]) for run in placed)


def price_mapped(
    workload: Workload,
    layers: Sequence[MappedLayer],
    accelerator: Accelerator,
    board: Board,
    coefficients: Coefficients,
) -> Estimate:
    """Price a network whose layers are mapped to an accelerator.

    Raises:
        InvalidValueError: these are not the layers of the network, or a mapping or placement breaks a rule of shape.
        MappingError: a tile or a feature map does not fit its buffer; names the buffer and a size that would do.
    """
    if tuple(mapped.layer for mapped in layers) != workload.layers:
        raise InvalidValueError("layers", len(layers), f"the {len(workload)} layers of the network")
    coefficients.check_use(board.name, workload.layers, [accelerator])
    for mapped in layers:
        mapped.check(accelerator)
    prices = MappedLayers.of(layers, [accelerator] * len(layers), board).price(coefficients)
    estimates = tuple(
        _layer_estimate(node.name, mapped, prices, index)
        for index, (node, mapped) in enumerate(zip(workload, layers, strict=True))
    )
    latency_cycles = network_latency_cycles(sum(layer.latency_cycles for layer in estimates), coefficients)
    latency_ms = latency_cycles / (accelerator.clock_mhz * 1e3)
    energy_mj = network_energy_mj(sum(layer.energy_mj for layer in estimates), latency_ms, board)
    return Estimate(latency_ms=latency_ms, latency_cycles=latency_cycles, energy_mj=energy_mj, layers=estimates)


def _layer_estimate(name: str, mapped: MappedLayer, prices: LayerPrices, index: int) -> LayerEstimate:
    latency, iterations = float(prices.latency_cycles[index]), int(prices.iterations[index])
    words = {f"{port}_words": int(getattr(prices, f"{port}_words")[index]) for port in ("ifmap", "weight", "ofmap")}
    memory = max(*words.values(), float(prices.ddr_cycles[index]))
    bound = "overhead" if 2 * max(iterations, memory) < latency else "compute" if iterations >= memory else "ddr"
    return LayerEstimate(
        name=name,
        mapped=mapped,
        latency_cycles=latency,
        compute_cycles=iterations,
        **words,
        setup_cycles=float(prices.setup_cycles[index]),
        ddr_bytes=int(prices.ddr_bytes[index]),
        energy_mj=float(prices.energy_mj[index]),
        bound=bound,
    )


def price(workload: Workload, accelerator: Accelerator, board: Board, coefficients: Coefficients) -> Estimate:
    """Price a network on one accelerator: each layer with the mapping, each block run in the way, of least latency.

    Raises:
        MappingError: a layer has no legal mapping; names it, and the least buffers that would do.
    """
    layers = map_workload(workload, accelerator, board, coefficients)
    return price_mapped(workload, layers, accelerator, board, coefficients)
