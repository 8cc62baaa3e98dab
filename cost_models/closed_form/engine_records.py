"""Accelerators on a board as arrays of records, for prices that kernels calculate."""

import numpy as np
from numpy.typing import NDArray

from cost_models.closed_form.compiled import record_dtype
from cost_models.coefficients import LatencyCoefficients
from hw_templates.board import Board
from hw_templates.conv_engine.accelerator import (
    AcceleratorColumns,
)


class EngineRecord:
    """One accelerator, and the cycles its ports and the DDR take to move words.

    Attributes:
        rows, cols, pixels, lanes: of the PE array and the depthwise unit.
        line: channels of a line of the ifmap buffer.
        word, weight_word: bytes that a port of a map, and that of the weights, move a cycle.
        ifmap_depth, weight_depth, ofmap_depth: words of a bank of each buffer.
        ifmap_single, weight_single, ofmap_single: whether there is one such buffer: it is not filled while it is read.
        ddr_cycles_per_word, ddr_cycles_per_weight_word: of the DDR, for a word of each kind of port.
        access, burst, slot, pipeline, setup: cycles, as in :class:`LatencyCoefficients`.
    """

    rows: float
    cols: float
    pixels: float
    lanes: float
    line: float
    word: float
    weight_word: float
    ifmap_depth: float
    weight_depth: float
    ofmap_depth: float
    ifmap_single: bool
    weight_single: bool
    ofmap_single: bool
    ddr_cycles_per_word: float
    ddr_cycles_per_weight_word: float
    access: float
    burst: float
    slot: float
    pipeline: float
    setup: float


ENGINE = record_dtype(EngineRecord)


def engine_records(
    accelerators: AcceleratorColumns, board: Board, coefficients: LatencyCoefficients
) -> NDArray[np.void]:
    """Return records [A] of :class:`EngineRecord`."""
    bytes_per_us = board.ddr.plan_gb_s * 1e3 * coefficients.ddr_efficiency
    words = {"word": accelerators.axi_bytes, "weight_word": accelerators.weight_port_bytes}
    fields = {
        "rows": accelerators.pe_rows,
        "cols": accelerators.pe_cols,
        "pixels": accelerators.pe_pixels,
        "lanes": accelerators.depthwise_lanes,
        "line": accelerators.ifmap_cols,
        **words,
        "ifmap_depth": accelerators.ifmap_depth,
        "weight_depth": accelerators.weight_depth,
        "ofmap_depth": accelerators.ofmap_depth,
        "ifmap_single": accelerators.ifmap_buffers == 1,
        "weight_single": accelerators.weight_buffers == 1,
        "ofmap_single": accelerators.ofmap_buffers == 1,
        **{f"ddr_cycles_per_{name}": size * accelerators.clock_mhz / bytes_per_us for name, size in words.items()},
        "access": coefficients.access_latency_cycles,
        "burst": coefficients.burst_overhead_cycles,
        "slot": coefficients.slot_overhead_cycles,
        "pipeline": coefficients.pipeline_depth_cycles,
        "setup": coefficients.layer_overhead_cycles,
    }
    records = np.zeros(len(accelerators), dtype=ENGINE)
    for name, values in fields.items():
        records[name] = values
    return records
