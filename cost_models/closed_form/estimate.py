"""The price of one network on one accelerator."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np

from cost_models.closed_form.fusion import best_placements
from cost_models.closed_form.layer_records import LayerRecords
from cost_models.closed_form.layer_table import PricedCases, mapping_records, price_layers, price_mapped
from cost_models.coefficients import Coefficients
from cost_models.mapping.mapping import Mapping, no_mapping_error
from cost_models.mapping.placement import IN_MEMORY, Placement
from cost_models.workload import Workload
from hw_templates.board import Board
from hw_templates.conv_engine.accelerator import Accelerator, AcceleratorColumns
from hw_templates.foundation.arrays import FloatArray
from hw_templates.foundation.errors import InvalidValueError


@dataclass(frozen=True, kw_only=True)
class LayerEstimate:
    """The price of one node.

    Attributes:
        name: the node.
        mapping, placement: as the engine is to run it.
        latency_cycles: all of it, setup included.
        compute_cycles: trips of the compute pipeline, exact.
        ifmap_words, weight_words, ofmap_words: memory words that these ports move, or lines of the map memory, exact;
            one a cycle.
        setup_cycles: before the first slot.
        ddr_bytes: all that passes the DDR.
        energy_mj: dynamic.
        bound: what limits it: "compute", "ddr" (a port or the memory), or "overhead" where neither is busy for even
            half of the time.
    """

    name: str
    mapping: Mapping
    placement: Placement
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
        start_ms: of that, what starting the engine takes.
        energy_mj: of one inference, idle power included.
        layers: in the order they run.
    """

    latency_ms: float
    latency_cycles: float
    start_ms: float
    energy_mj: float
    layers: tuple[LayerEstimate, ...]


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


def _layer_estimate(name: str, mapping: Mapping, placement: Placement, priced: PricedCases, case: int) -> LayerEstimate:
    """One case as plain values."""
    trips, ofmap_words = int(priced.trips[case]), int(priced.ofmap_words[case])
    ifmap_words, weight_words = int(priced.ifmap_words[case]), int(priced.weight_words[case])
    latency = float(priced.latency_cycles[case])
    memory = max(ifmap_words, weight_words, ofmap_words, float(priced.ddr_cycles[case]))
    bound = "overhead" if 2 * max(trips, memory) < latency else "compute" if trips >= memory else "ddr"
    return LayerEstimate(
        name=name,
        mapping=mapping,
        placement=placement,
        latency_cycles=latency,
        compute_cycles=trips,
        ifmap_words=ifmap_words,
        weight_words=weight_words,
        ofmap_words=ofmap_words,
        setup_cycles=float(priced.setup_cycles[case]),
        ddr_bytes=int(priced.ddr_bytes[case]),
        energy_mj=float(priced.energy_mj[case]),
        bound=bound,
    )


def price_mappings(
    workload: Workload,
    mappings: Sequence[Mapping],
    accelerator: Accelerator,
    board: Board,
    coefficients: Coefficients,
    placements: Sequence[Placement] = (),
) -> Estimate:
    """Price a network on one accelerator with the given mapping of each node, and its placement unless all run alone.

    Raises:
        InvalidValueError: not one mapping or placement a node, or one breaks a rule of shape.
        MappingError: a tile or a map does not fit its buffer; names the buffer and the least size that would do.
    """
    placements = placements or [IN_MEMORY] * len(workload)
    for name, values in (("mappings", mappings), ("placements", placements)):
        if len(values) != len(workload):
            raise InvalidValueError(name, len(values), f"one for each of the {len(workload)} layers")
    coefficients.check_use(board.name, workload.layers, [accelerator])
    for node, mapping, placement in zip(workload, mappings, placements, strict=True):
        mapping.check(node.layer, accelerator)
        placement.check(node.layer, accelerator)
    records = LayerRecords.of(workload.layers, placements)
    columns = AcceleratorColumns.of([accelerator] * len(workload))
    priced = price_mapped(records, columns, mapping_records(mappings), board, coefficients)
    layers = tuple(
        _layer_estimate(node.name, mapping, placement, priced, case)
        for case, (node, mapping, placement) in enumerate(zip(workload, mappings, placements, strict=True))
    )
    latency_cycles = network_latency_cycles(sum(layer.latency_cycles for layer in layers), coefficients)
    cycles_per_ms = accelerator.clock_mhz * 1e3
    latency_ms, start_ms = latency_cycles / cycles_per_ms, coefficients.latency.start_cycles / cycles_per_ms
    energy_mj = network_energy_mj(sum(layer.energy_mj for layer in layers), latency_ms, board)
    return Estimate(
        latency_ms=latency_ms, latency_cycles=latency_cycles, start_ms=start_ms, energy_mj=energy_mj, layers=layers
    )


def price(workload: Workload, accelerator: Accelerator, board: Board, coefficients: Coefficients) -> Estimate:
    """Price a network on one accelerator: each layer with the mapping, each block run in the way, of least latency.

    Raises:
        MappingError: a layer has no legal mapping; names it, and the least buffers that would do.
    """
    placements = best_placements(workload, accelerator, board, coefficients)
    unique = tuple(dict.fromkeys(zip(workload.layers, placements, strict=True)))
    layers, ways = zip(*unique, strict=True)
    table = price_layers(layers, [accelerator], board, coefficients, placements=ways)
    rows = {run: row for row, run in enumerate(unique)}
    mappings = []
    for node, placement in zip(workload, placements, strict=True):
        row = rows[node.layer, placement]
        if not np.isfinite(table.latency_cycles[row, 0]):
            raise no_mapping_error(node.name, node.layer, accelerator)
        mappings.append(table.mapping(row, 0))
    return price_mappings(workload, mappings, accelerator, board, coefficients, placements)
