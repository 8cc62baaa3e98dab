"""A table of prices: layers x accelerators, each pair with its best mapping."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cost_models.closed_form.layer_prices import price_cases
from cost_models.closed_form.mapper import CALCULATED, CANDIDATES, ORDER, OUT_CHANNELS, best_mappings
from cost_models.closed_form.records import LayerRecords, engine_records
from cost_models.closed_form.tiling import ORDERS
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
        candidates: number of legal (layer, accelerator, mapping) candidates there are.
        calculated: number of them priced in full; lower bounds ruled out the others, alone or many at once.
        mappings: [L, A, 5] output channels, input channels, height and width of a tile, 0 where nothing fits; and the
            place of the loop order in :data:`cost_models.closed_form.tiling.ORDERS`.
    """

    latency_cycles: FloatArray
    energy_mj: FloatArray
    candidates: int
    calculated: int
    mappings: IntArray

    def mapping(self, layer: int, accelerator: int) -> Mapping:
        """Return the best mapping of a layer on an accelerator, both by index.

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
        board, coefficients: the board of all accelerators, and the fitted values.
        wanted: [L, A] which layers to price on which accelerators; None for all. Unselected
            entries are reported as unmappable (``inf``).
        placements: how each layer runs; empty where all run alone from memory to memory. Whether the map memory
            holds their maps is not checked.

    >>> from cost_models.coefficients import load_coefficients
    >>> from cost_models.workload import Operation
    >>> from hw_templates.board import load_board
    >>> layer = Layer(
    ...     operation=Operation.CONV, in_channels=16, out_channels=32, in_height=8, in_width=8,
    ...     kernel_height=3, kernel_width=3, padding=1,
    ... )
    >>> accelerator = Accelerator(
    ...     pe_rows=16, pe_cols=16, pe_pixels=1, pack=2, ifmap_kib=8, weight_kib=16, ofmap_kib=8,
    ...     axi_bits=64, clock_mhz=100,
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
    priced = price_cases(records, engines, rows, cols, best[found, : ORDER + 1], coefficients)
    latency[rows, cols], energy[rows, cols] = priced.latency_cycles, priced.energy_mj
    return LayerTable(
        latency_cycles=latency,
        energy_mj=energy,
        candidates=int(best[:, CANDIDATES].sum()),
        calculated=int(best[:, CALCULATED].sum()),
        mappings=mappings,
    )
