"""Prices of mapped layers: cycles, energy, and what the ports and the DDR move."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from cost_models.closed_form.compiled import compiled, kernel
from cost_models.closed_form.energy import buffer_bytes, ddr_bytes, dynamic_energy_mj
from cost_models.closed_form.latency import setup_cycles, slot_cycles
from cost_models.closed_form.mapper import HEIGHT, IN_CHANNELS, ORDER, OUT_CHANNELS, WIDTH
from cost_models.closed_form.records import EngineRecord, LayerRecord, LayerRecords, engine_records
from cost_models.closed_form.slots import Tiling
from cost_models.closed_form.tiling import ORDERS, cols_of, inputs_of, outputs_of, rows_of
from cost_models.closed_form.traffic import Traffic, traffic_of
from cost_models.coefficients import Coefficients
from cost_models.mapping.mapped_layer import MappedLayer
from hw_templates.board import Board
from hw_templates.conv_engine.accelerator import Accelerator, AcceleratorColumns
from hw_templates.foundation.arrays import FloatArray, IntArray


@dataclass(frozen=True, kw_only=True)
class LayerPrices:
    """Prices of layers, each on an accelerator with a given mapping.

    Attributes:
        latency_cycles: [layers] of the whole layer, setup included.
        energy_mj: dynamic.
        setup_cycles: before the first slot.
        ddr_bytes, ddr_cycles: all that passes the DDR, and how long it takes for that.
        iterations: of the compute pipeline, exact.
        ifmap_words, weight_words, ofmap_words, residual_words: memory words that these ports move, one a cycle, or
            lines of the map memory; exact.
    """

    latency_cycles: FloatArray
    energy_mj: FloatArray
    setup_cycles: FloatArray
    ddr_bytes: FloatArray
    ddr_cycles: FloatArray
    iterations: FloatArray
    ifmap_words: FloatArray
    weight_words: FloatArray
    ofmap_words: FloatArray
    residual_words: FloatArray


_PRICES = tuple(entry.name for entry in fields(LayerPrices))


@dataclass(frozen=True)
class MappedLayers:
    """Mapped layers [layers], each on an accelerator of one board, as the arrays that kernels price.

    Attributes:
        layers: the layers with their placements.
        accelerators: the accelerator of each.
        mappings: [layers, 5] the mapping of each, as :class:`cost_models.closed_form.layer_table.LayerTable` has them.
        board: the board of all.
    """

    layers: LayerRecords
    accelerators: AcceleratorColumns
    mappings: IntArray
    board: Board

    @classmethod
    def of(cls, layers: Sequence[MappedLayer], accelerators: Sequence[Accelerator], board: Board) -> "MappedLayers":
        """Return arrays of layers, of which number i runs on accelerator i."""
        mappings = [
            (m.tile_out_channels, m.tile_in_channels, m.tile_height, m.tile_width, ORDERS.index(m.loop_order))
            for m in (mapped.mapping for mapped in layers)
        ]
        return cls(
            LayerRecords.of([mapped.layer for mapped in layers], [mapped.placement for mapped in layers]),
            AcceleratorColumns.of(accelerators),
            np.array(mappings, dtype=np.int64).reshape(-1, 5),
            board,
        )

    def price(self, coefficients: Coefficients, rows: IntArray | None = None) -> LayerPrices:
        """Return the price of each layer, or of the layers in these rows."""
        engines = engine_records(self.accelerators, self.board, coefficients.latency)
        rows = np.arange(len(self.mappings)) if rows is None else rows
        return price_cases(self.layers, engines, rows, rows, self.mappings[rows], coefficients)


def price_cases(
    layers: LayerRecords,
    engines: NDArray[np.void],
    rows: IntArray,
    columns: IntArray,
    mappings: IntArray,
    coefficients: Coefficients,
) -> LayerPrices:
    """Return the prices of layers ``rows`` on accelerators ``columns``, each with its mapping [cases, 5]."""
    energy = coefficients.energy
    prices = np.zeros((len(_PRICES), len(rows)))
    picojoules = (float(energy.mac_pj), float(energy.buffer_pj_per_byte), float(energy.ddr_pj_per_byte))
    _price_all(layers.layers, layers.runs, engines, rows, columns, np.ascontiguousarray(mappings), picojoules, prices)
    return LayerPrices(**dict(zip(_PRICES, prices, strict=True)))


@compiled
def _price_case(
    layer: LayerRecord,
    runs: NDArray[np.void],
    engine: EngineRecord,
    mapping: IntArray,
    picojoules: tuple[float, float, float],
    prices: FloatArray,
) -> None:
    """Fill ``prices`` [10] with the fields of :class:`LayerPrices`."""
    outputs = outputs_of(layer, engine, float(mapping[OUT_CHANNELS]))
    inputs = inputs_of(layer, engine, float(mapping[IN_CHANNELS]))
    cols, order = cols_of(layer, engine, float(mapping[WIDTH])), mapping[ORDER]
    cycles = repeats = 0.0
    for number in range(layer.first_run, layer.end_run):
        rows = rows_of(layer, runs[number], float(mapping[HEIGHT]))
        tiling = Tiling(layer, engine, outputs, inputs, rows, cols, order)
        cycles += rows.repeats * slot_cycles(tiling)
        moved = traffic_of(tiling)
        repeats += rows.repeats
        for place, count in enumerate(moved[:5]):
            prices[5 + place] += rows.repeats * count
    setup = setup_cycles(layer, engine, repeats)
    total = Traffic(prices[5], prices[6], prices[7], prices[8], prices[9], 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    ddr = ddr_bytes(layer, engine, total, repeats)
    buffers = buffer_bytes(layer, engine, inputs, total)
    energy = dynamic_energy_mj(layer.macs, buffers, ddr, picojoules[0], picojoules[1], picojoules[2])
    prices[0], prices[1], prices[2] = cycles + setup, energy, setup
    prices[3], prices[4] = ddr, ddr / engine.axi_bytes * engine.ddr_cycles_per_word


@kernel
def _price_all(
    layers: NDArray[np.void],
    runs: NDArray[np.void],
    engines: NDArray[np.void],
    rows: IntArray,
    columns: IntArray,
    mappings: IntArray,
    picojoules: tuple[float, float, float],
    prices: FloatArray,
) -> None:
    for case in range(len(rows)):
        _price_case(layers[rows[case]], runs, engines[columns[case]], mappings[case], picojoules, prices[:, case])
