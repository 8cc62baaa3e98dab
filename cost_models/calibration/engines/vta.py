"""VTA (Moreau et al., "A hardware-software blueprint for flexible deep learning specialization", IEEE Micro 2019).

A GEMM core multiplies ``pe_pixels`` (its batch) x ``pe_cols`` inputs by ``pe_cols`` x ``pe_rows`` weights a cycle. The
compiler cuts a layer into tiles (rows, then output channels, then columns outermost) and loads input and weights of
each tile in steps of input channels, whatever the last step held. Maps lie in memory as blocks of channels, each with
its rows one after the other, so a burst is a row of a block's tile, or all its rows where they are whole and need no
padding. With two virtual threads one loads while the other computes.
"""

import numpy as np

from cost_models.calibration.structural import Demand, Term, structural_model
from cost_models.mapping.mapping import Mapping
from cost_models.measurements.measurement import EngineRun
from cost_models.workload import Layer
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.errors import InvalidValueError

# Spread between campaigns of what the bitstream sets (its memory port, by half) and of what the driver sets.
_HARDWARE, _DRIVER = 0.4, 1.5


def _parts(run: EngineRun) -> tuple[Accelerator, Layer, Mapping]:
    """Return the engine, its one convolution and the mapping."""
    if run.accelerator is None:
        raise InvalidValueError("measurement.accelerator", None, "given for vta")
    if len(run.layers) != 1 or run.layers[0].mapping is None:
        raise InvalidValueError("measurement.layers", len(run.layers), "one layer with its mapping for vta")
    layer = run.layers[0].layer
    if not layer.operation.is_dense:
        raise InvalidValueError("measurement.layers[0].layer.operation", str(layer.operation), "conv for vta")
    return run.accelerator, layer, run.layers[0].mapping


def _roofline(run: EngineRun) -> float:
    """Return the cycles of the array at its peak rate, or of reading input and weights once if that is longer."""
    a, layer, _ = _parts(run)
    array = layer.macs * run.batch / (a.pe_pixels * a.pe_cols * a.pe_rows)
    weights = layer.in_channels * layer.out_channels * layer.taps
    # A stride beyond the kernel leaves input unread.
    rows = min(layer.in_height, layer.out_height * layer.kernel_height)
    cols = min(layer.in_width, layer.out_width * layer.kernel_width)
    return max(array, (run.batch * layer.in_channels * rows * cols + weights) / (a.axi_bits / 8))


def demands(run: EngineRun) -> list[Demand]:
    """Return what the one layer of a run demands.

    Raises:
        InvalidValueError: the run lacks the engine, or the one convolution with its mapping, or its virtual threads.
    """
    a, layer, mapping = _parts(run)
    threads = run.settings.get("threads")
    if threads not in (1, 2):
        raise InvalidValueError("measurement.settings.threads", threads, "1 or 2 for vta")
    down, rows = _cuts(layer, layer.out_height, mapping.tile_height, layer.in_height, layer.kernel_height)
    across, cols = _cuts(layer, layer.out_width, mapping.tile_width, layer.in_width, layer.kernel_width)
    out_tiles, out_blocks = -(-layer.out_channels // mapping.tile_out_channels), -(-layer.out_channels // a.pe_rows)
    in_steps, in_blocks = -(-layer.in_channels // mapping.tile_in_channels), -(-layer.in_channels // a.pe_cols)
    images = -(-run.batch // a.pe_pixels)
    pixels = images * layer.out_height * layer.out_width
    weight_loads = images * down * across
    tiles = weight_loads * out_tiles
    whole_rows = across == 1 and layer.padding == 0 and cols == layer.in_width
    counts: dict[str, float] = {
        "mac_cycles": pixels * in_blocks * out_blocks * layer.taps,
        "step_cycles": tiles * in_steps,
        "load_cycles": tiles * in_steps,
        "input_cycles_per_byte": images * rows * cols * in_blocks * out_tiles * a.pe_pixels * a.pe_cols,
        "input_burst_cycles": images * (down if whole_rows else rows * across) * in_blocks * out_tiles,
        "weight_cycles_per_byte": weight_loads * in_blocks * out_blocks * layer.taps * a.pe_cols * a.pe_rows,
        "weight_burst_cycles": weight_loads * out_blocks * in_steps,
        "result_cycles": pixels * out_blocks,
        "result_burst_cycles": weight_loads * out_blocks * (1 if across == 1 else mapping.tile_height),
        "tile_cycles": tiles,
        "micro_op_cycles": layer.taps * (mapping.tile_out_channels // a.pe_rows) * mapping.tile_height,
        "start_cycles": 1,
    }
    return [Demand(counts, steps=in_steps, hides=threads == 2)]


def _cuts(layer: Layer, outputs: int, tile: int, inputs: int, kernel: int) -> tuple[int, int]:
    """Return the number of tiles along an axis, and of input positions that all read, clipped at the borders."""
    first = np.arange(0, outputs, tile)
    last = np.minimum(first + tile, outputs) - 1
    begin, end = (place * layer.stride - layer.padding for place in (first, last))
    return len(first), int((np.minimum(end + kernel, inputs) - np.maximum(begin, 0)).sum())


VTA = structural_model(
    "vta",
    (
        # name, meaning, median, spread, spread over campaigns, role, kind
        Term("mac_cycles", "multiplying one block by one block", 1.0, 0.03, 0.02, "step", "compute"),
        Term("step_cycles", "issuing a step's instructions", 100, 1.5, _HARDWARE, "step", "overhead"),
        Term("load_cycles", "issuing a step's loads", 100, 1.5, _HARDWARE, "load", "overhead"),
        Term("input_cycles_per_byte", "reading input", 1 / 6, 0.7, _HARDWARE, "load", "input"),
        Term("input_burst_cycles", "beginning a burst of input", 20, 1.5, _HARDWARE, "load", "input"),
        Term("weight_cycles_per_byte", "reading weights", 1 / 6, 0.7, _HARDWARE, "load", "weights"),
        Term("weight_burst_cycles", "beginning a burst of weights", 20, 1.5, _HARDWARE, "load", "weights"),
        Term("result_cycles", "finishing and storing one block of results", 10, 1.5, _DRIVER, "tile", "output"),
        Term("result_burst_cycles", "beginning a burst of results", 20, 1.5, _HARDWARE, "tile", "output"),
        Term("tile_cycles", "starting and joining a tile", 200, 1.5, 0.5, "alone", "overhead"),
        Term("micro_op_cycles", "fetching a micro-operation", 1.0, 1.0, 0.3, "alone", "overhead"),
        Term("start_cycles", "a run, call to return", 2000, 1.5, 1.0, "alone", "overhead"),
    ),
    demands,
    _roofline,
)
