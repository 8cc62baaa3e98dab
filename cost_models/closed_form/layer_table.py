"""A table of prices: layers x accelerators, each pair with its best mapping."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cost_models.closed_form.compiled import SOURCES, compiled, kernel
from cost_models.closed_form.energy import buffer_bytes, ddr_bytes, dynamic_energy_mj
from cost_models.closed_form.engine_records import EngineRecord, engine_records
from cost_models.closed_form.latency import ORDERS, setup_cycles, slot_cycles, tiling_of
from cost_models.closed_form.layer_records import LayerRecord, LayerRecords
from cost_models.closed_form.mapper import (
    CALCULATED,
    CANDIDATES,
    HEIGHT,
    IN_CHANNELS,
    ORDER,
    OUT_CHANNELS,
    WIDTH,
    best_mappings,
)
from cost_models.closed_form.tiling import cols_of, inputs_of, outputs_of, rows_of
from cost_models.closed_form.traffic import Traffic, traffic_of
from cost_models.coefficients import Coefficients
from cost_models.mapping.mapping import Mapping
from cost_models.mapping.placement import Placement
from cost_models.workload import Layer
from hw_templates.board import Board
from hw_templates.conv_engine.accelerator import Accelerator, AcceleratorColumns
from hw_templates.foundation.arrays import BoolArray, FloatArray, IntArray
from hw_templates.foundation.errors import MappingError


@dataclass(frozen=True, kw_only=True)
class LayerTable:
    """Layers priced on accelerators, each with its best mapping.

    Attributes:
        latency_cycles: [L, A]; inf where a layer has no legal mapping.
        energy_mj: [L, A] dynamic energy; inf likewise.
        candidates: how many legal (layer, accelerator, mapping) candidates there are.
        calculated: how many of them were priced in full; a lower bound ruled out the others, alone or many at once.
        mappings: [L, A, 5] output channels, input channels, height and width of a tile, 0 where nothing fits; and the
            place of the loop order in :data:`cost_models.closed_form.latency.ORDERS`.
    """

    latency_cycles: FloatArray
    energy_mj: FloatArray
    candidates: int
    calculated: int
    mappings: IntArray

    def mapping(self, layer: int, accelerator: int) -> Mapping:
        """The best mapping of a layer on an accelerator, both by index.

        Raises:
            MappingError: there is none.
        """
        out_channels, in_channels, height, width, order = (int(size) for size in self.mappings[layer, accelerator])
        if not out_channels:
            raise MappingError(f"layer {layer} has no legal mapping on accelerator {accelerator}")
        return Mapping(
            tile_out_channels=out_channels,
            tile_in_channels=in_channels,
            tile_height=height,
            tile_width=width,
            loop_order=ORDERS[order],
        )


@dataclass(frozen=True, kw_only=True)
class PricedCases:
    """Cases, each a layer on an accelerator with a given mapping.

    Attributes:
        latency_cycles: [cases] all of it, setup included.
        energy_mj: dynamic.
        setup_cycles: before the first slot.
        ddr_bytes, ddr_cycles: all that passes the DDR, and how long it takes for that.
        trips: of the compute pipeline, exact.
        ifmap_words, weight_words, ofmap_words, residual_words: memory words that these ports move, one a cycle, or
            lines of the map memory; exact.
    """

    latency_cycles: FloatArray
    energy_mj: FloatArray
    setup_cycles: FloatArray
    ddr_bytes: FloatArray
    ddr_cycles: FloatArray
    trips: FloatArray
    ifmap_words: FloatArray
    weight_words: FloatArray
    ofmap_words: FloatArray
    residual_words: FloatArray


_PRICES = tuple(entry.name for entry in fields(PricedCases))


def price_layers(
    layers: Sequence[Layer],
    accelerators: Sequence[Accelerator] | AcceleratorColumns,
    board: Board,
    coefficients: Coefficients,
    wanted: BoolArray | None = None,
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
    >>> layer = Layer(
    ...     operation=Operation.CONV, in_channels=16, out_channels=32, in_height=8, in_width=8,
    ...     kernel_height=3, kernel_width=3, padding=1,
    ... )
    >>> accelerator = Accelerator(
    ...     pe_rows=16, pe_cols=16, pe_pixels=1, pack=2, ifmap_kib=8, weight_kib=16, ofmap_kib=8,
    ...     axi_bits=64, clock_mhz=100, depthwise_lanes=8,
    ... )
    >>> table = price_layers([layer], [accelerator], load_board("pynq-z2"), load_coefficients())
    >>> table.latency_cycles.shape
    (1, 1)
    """
    columns = accelerators if isinstance(accelerators, AcceleratorColumns) else AcceleratorColumns.of(accelerators)
    shape = (len(layers), len(columns))
    records, engines = LayerRecords.of(layers, placements), engine_records(columns, board, coefficients.latency)
    rows, cols = np.nonzero(np.ones(shape, dtype=bool) if wanted is None else wanted)
    best = best_mappings(records, engines, rows, cols)
    latency, energy = np.full(shape, np.inf), np.full(shape, np.inf)
    mappings = np.zeros((*shape, 5), dtype=np.int64)
    mappings[rows, cols] = best[:, : ORDER + 1]
    found = np.flatnonzero(best[:, OUT_CHANNELS])
    rows, cols = rows[found], cols[found]
    priced = _price(records, engines, rows, cols, best[found, : ORDER + 1], coefficients)
    latency[rows, cols], energy[rows, cols] = priced.latency_cycles, priced.energy_mj
    return LayerTable(
        latency_cycles=latency,
        energy_mj=energy,
        candidates=int(best[:, CANDIDATES].sum()),
        calculated=int(best[:, CALCULATED].sum()),
        mappings=mappings,
    )


def mapping_records(mappings: Sequence[Mapping]) -> IntArray:
    """[cases, 5] mappings as :class:`LayerTable` has them."""
    return np.array(
        [
            (m.tile_out_channels, m.tile_in_channels, m.tile_height, m.tile_width, ORDERS.index(m.loop_order))
            for m in mappings
        ],
        dtype=np.int64,
    ).reshape(-1, 5)


def price_mapped(
    layers: LayerRecords,
    accelerators: AcceleratorColumns,
    mappings: IntArray,
    board: Board,
    coefficients: Coefficients,
) -> PricedCases:
    """Price layer i on accelerator i with mapping i, of :func:`mapping_records`."""
    cases = np.arange(len(layers))
    engines = engine_records(accelerators, board, coefficients.latency)
    return _price(layers, engines, cases, cases, mappings, coefficients)


def _price(
    layers: LayerRecords,
    engines: NDArray[np.void],
    rows: IntArray,
    columns: IntArray,
    mappings: IntArray,
    coefficients: Coefficients,
) -> PricedCases:
    energy = coefficients.energy
    prices = np.zeros((len(_PRICES), len(rows)))
    picojoules = (float(energy.mac_pj), float(energy.buffer_pj_per_byte), float(energy.ddr_pj_per_byte))
    _price_all(layers.layers, layers.runs, engines, rows, columns, np.ascontiguousarray(mappings), picojoules, prices)
    return PricedCases(**dict(zip(_PRICES, prices, strict=True)))


@compiled
def _price_case(
    layer: LayerRecord,
    runs: NDArray[np.void],
    engine: EngineRecord,
    mapping: IntArray,
    picojoules: tuple[float, float, float],
    prices: FloatArray,
) -> None:
    """Fill ``prices`` [10] with the fields of :class:`PricedCases`."""
    outputs = outputs_of(layer, engine, float(mapping[OUT_CHANNELS]))
    inputs = inputs_of(layer, engine, float(mapping[IN_CHANNELS]))
    cols, order = cols_of(layer, engine, float(mapping[WIDTH])), mapping[ORDER]
    cycles = repeats = 0.0
    for number in range(layer.first_run, layer.end_run):
        rows = rows_of(layer, runs[number], float(mapping[HEIGHT]))
        tiling = tiling_of(outputs, inputs, rows, cols, layer, order)
        cycles += rows.repeats * slot_cycles(layer, engine, tiling, order)
        moved = traffic_of(layer, engine, tiling, order)
        repeats += rows.repeats
        for place, count in enumerate(moved[:5]):
            prices[5 + place] += rows.repeats * count
    setup = setup_cycles(layer, engine, repeats)
    total = Traffic(prices[5], prices[6], prices[7], prices[8], prices[9], 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    ddr = ddr_bytes(layer, engine, total, repeats)
    buffers = buffer_bytes(layer, engine, inputs, total)
    energy = dynamic_energy_mj(layer.macs, buffers, ddr, picojoules[0], picojoules[1], picojoules[2])
    prices[0], prices[1], prices[2] = cycles + setup, energy, setup
    prices[3], prices[4] = ddr, ddr / engine.word * engine.ddr_cycles_per_word


def _price_all_with(sources: int) -> Any:
    @kernel
    def price_all(
        layers: NDArray[np.void],
        runs: NDArray[np.void],
        engines: NDArray[np.void],
        rows: IntArray,
        columns: IntArray,
        mappings: IntArray,
        picojoules: tuple[float, float, float],
        prices: FloatArray,
    ) -> None:
        assert sources
        for case in range(len(rows)):
            _price_case(layers[rows[case]], runs, engines[columns[case]], mappings[case], picojoules, prices[:, case])

    return price_all


_price_all = _price_all_with(SOURCES)
