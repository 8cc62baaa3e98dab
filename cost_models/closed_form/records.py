"""Accelerators on a board, and layers, as arrays of records, for prices that kernels calculate."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from cost_models.coefficients import LatencyCoefficients
from cost_models.engine.layer import engine_layer
from cost_models.mapping.engine_limits import check_engine_runs
from cost_models.mapping.mapping import least_size
from cost_models.mapping.placement import IN_MEMORY, Placement
from cost_models.workload import Layer
from hw_templates.board import Board
from hw_templates.conv_engine.accelerator import AcceleratorColumns


def record_dtype(record: type) -> np.dtype[np.void]:
    """The numpy type of an array of records, of a class that annotates their fields as ``float``, ``int`` or ``bool``.

    Kernels take a record of such an array where a formula asks for the class.
    """
    return np.dtype([*record.__annotations__.items()])


class EngineRecord:
    """One accelerator, and the cycles its ports and the DDR take to move words.

    The fields are those of :class:`AcceleratorColumns` and of :class:`LatencyCoefficients`, and:

    Attributes:
        ddr_cycles_per_word, ddr_cycles_per_weight_word: of the DDR, for a word of a port of a map, and of the weights.
    """

    pe_rows: float
    pe_cols: float
    pe_pixels: float
    lanes: float
    channelwise_steps: float
    post_lanes: float
    axi_bytes: float
    weight_port_bytes: float
    ifmap_depth: float
    weight_depth: float
    ofmap_depth: float
    ifmap_buffers: int
    weight_buffers: int
    ofmap_buffers: int
    access_latency_cycles: float
    burst_overhead_cycles: float
    slot_overhead_cycles: float
    pipeline_depth_cycles: float
    layer_overhead_cycles: float
    ddr_cycles_per_word: float
    ddr_cycles_per_weight_word: float


class LayerRecord:
    """One layer; the fields are those of :class:`Layer`, as numbers.

    Attributes:
        dense: whether input and output channels are cut apart: a convolution.
        gate: whether the weights are one for each channel, from a map: a scale.
        weightless: whether there are no weights: a pool.
        reads_map, writes_map: whether the input and the output map are in the map memory.
        first_run, end_run: its rows of the run records.
        most_rows: output rows of the run that makes most, and of the smallest tile.
        classes: border classes, each with a line of parameters; 0 where each channel has its own.
        tables: how often its activation table is loaded.
    """

    dense: bool
    gate: bool
    weightless: bool
    residual: bool
    in_channels: float
    out_channels: float
    in_width: float
    out_height: float
    out_width: float
    kernel_height: float
    kernel_width: float
    taps: float
    stride: float
    padding: float
    weight_bits: float
    macs: float
    reads_map: bool
    writes_map: bool
    first_run: int
    end_run: int
    most_rows: int
    classes: float
    tables: float


class RunRecord:
    """Runs of a layer that are alike: of all its rows, or of those of a band.

    Attributes:
        out_height: output rows that a run makes.
        top_padding: rows of padding above the input rows that it reads.
        in_height: input rows that lie in the map, of those.
        repeats: number of such runs.
    """

    out_height: float
    top_padding: float
    in_height: float
    repeats: float


ENGINE, LAYER, RUN = map(record_dtype, (EngineRecord, LayerRecord, RunRecord))
_of_layer = attrgetter(
    *("operation.is_dense", "operation.reads_gate", "operation.is_weightless", "residual"),
    *("in_channels", "out_channels", "in_width", "out_height", "out_width"),
    *("kernel_height", "kernel_width", "taps"),
)
"""The first fields of a :class:`LayerRecord`."""


def engine_records(
    accelerators: AcceleratorColumns, board: Board, coefficients: LatencyCoefficients
) -> NDArray[np.void]:
    """Return records [A] of :class:`EngineRecord`."""
    bytes_per_us = board.ddr.plan_gb_s * 1e3 * coefficients.ddr_efficiency
    values = asdict(coefficients) | {
        "ddr_cycles_per_word": accelerators.axi_bytes * accelerators.clock_mhz / bytes_per_us,
        "ddr_cycles_per_weight_word": accelerators.weight_port_bytes * accelerators.clock_mhz / bytes_per_us,
    }
    records = np.zeros(len(accelerators), dtype=ENGINE)
    for name in EngineRecord.__annotations__:
        records[name] = values[name] if name in values else getattr(accelerators, name)
    return records


@dataclass(frozen=True)
class LayerRecords:
    """Layers [L] of :class:`LayerRecord`, and their runs of :class:`RunRecord`."""

    layers: NDArray[np.void]
    runs: NDArray[np.void]

    @classmethod
    def of(cls, layers: Sequence[Layer], placements: Sequence[Placement] = ()) -> "LayerRecords":
        """Return records of layers, all from memory to memory or each with its placement.

        Raises:
            UnsupportedLayerError: the engine cannot run a layer.
        """
        records = []
        runs: list[tuple[int, ...]] = []
        for layer, placement in zip(layers, placements or [IN_MEMORY] * len(layers), strict=True):
            check_engine_runs(layer)
            kinds, engine = placement.runs(layer), engine_layer(layer)
            shape = (engine.stride[0], layer.padding, layer.weight_bits, layer.macs)
            on_chip, end_run = (placement.ifmap_ring > 0, placement.ofmap_ring > 0), len(runs) + len(kinds)
            most_rows = max(max(kinds)[0], least_size(layer, layer.out_height))
            setup = (math.prod(engine.border_classes), placement.tables(layer))
            records.append((*_of_layer(layer), *shape, *on_chip, len(runs), end_run, most_rows, *setup))
            runs += [(*kind, count) for kind, count in kinds.items()]
        return cls(np.array(records, dtype=LAYER), np.array(runs, dtype=RUN))
