"""VTA (Moreau et al., "A hardware-software blueprint for flexible deep learning specialization", IEEE Micro 2019).

A GEMM core multiplies ``pe_pixels`` (its batch) x ``pe_cols`` inputs by ``pe_cols`` x ``pe_rows`` weights a cycle. The
compiler cuts a layer into tiles (rows, then output channels, then columns outermost) and loads input and weights of
each tile in steps of input channels, whatever the last step held. Maps lie in memory as blocks of channels, each with
its rows one after the other, so a burst is a row of a block's tile, or all its rows where they are whole and need no
padding. With two virtual threads one loads while the other computes.
"""

from cost_models.calibration.structural import Demand, Role, StructuralModel, Term
from cost_models.calibration.timing_model import Parameter
from cost_models.mapping.mapping import Mapping
from cost_models.measurements.engine_run import EngineRun
from cost_models.workload import Layer
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.errors import InvalidValueError

# Spread between campaigns of what the bitstream sets (its memory port, by half) and of what the driver sets.
_HARDWARE, _DRIVER = 0.4, 1.5


def _parts(run: EngineRun) -> tuple[Accelerator, Layer, Mapping]:
    """The engine, its one convolution and how that was cut."""
    if run.accelerator is None:
        raise InvalidValueError("measurement.accelerator", None, "given for vta")
    if len(run.layers) != 1 or run.layers[0].mapping is None:
        raise InvalidValueError("measurement.layers", len(run.layers), "one layer with its mapping for vta")
    layer = run.layers[0].layer
    if not layer.operation.is_dense:
        raise InvalidValueError("measurement.layers[0].layer.operation", str(layer.operation), "conv for vta")
    return run.accelerator, layer, run.layers[0].mapping


def _roofline(run: EngineRun) -> float:
    """Cycles of the array at its peak rate, or of reading input and weights once through the port if that is longer."""
    a, layer, _ = _parts(run)
    array = layer.macs * run.batch / (a.pe_pixels * a.pe_cols * a.pe_rows)
    weights = layer.in_channels * layer.out_channels * layer.kernel_height * layer.kernel_width
    # A stride beyond the kernel leaves input unread.
    rows = min(layer.in_height, layer.out_height * layer.kernel_height)
    cols = min(layer.in_width, layer.out_width * layer.kernel_width)
    return max(array, (run.batch * layer.in_channels * rows * cols + weights) / (a.axi_bits / 8))


def _demands(run: EngineRun) -> list[Demand]:
    a, layer, mapping = _parts(run)
    threads = run.settings.get("threads")
    if threads not in (1, 2):
        raise InvalidValueError("measurement.settings.threads", threads, "1 or 2 for vta")
    down, rows = _cuts(layer.out_height, mapping.tile_height, layer.in_height, layer.kernel_height, layer)
    across, cols = _cuts(layer.out_width, mapping.tile_width, layer.in_width, layer.kernel_width, layer)
    out_tiles, out_blocks = _blocks(layer.out_channels, mapping.tile_out_channels, a.pe_rows)
    in_steps, in_blocks = _blocks(layer.in_channels, mapping.tile_in_channels, a.pe_cols)
    images = -(-run.batch // a.pe_pixels)
    taps = layer.kernel_height * layer.kernel_width
    tiles = images * down * across * out_tiles
    pixels = images * layer.out_height * layer.out_width
    area = images * rows * cols
    whole_rows = across == 1 and layer.padding == 0 and cols == layer.in_width
    weight_loads = images * down * across
    return [
        Demand(
            counts={
                "mac_cycles": pixels * in_blocks * out_blocks * taps,
                "step_cycles": tiles * in_steps,
                "load_cycles": tiles * in_steps,
                "input_cycles_per_byte": area * in_blocks * out_tiles * a.pe_pixels * a.pe_cols,
                "input_burst_cycles": images * (down if whole_rows else rows * across) * in_blocks * out_tiles,
                "weight_cycles_per_byte": weight_loads * in_blocks * out_blocks * taps * a.pe_cols * a.pe_rows,
                "weight_burst_cycles": weight_loads * out_blocks * in_steps,
                "result_cycles": pixels * out_blocks,
                "result_burst_cycles": images
                * down
                * out_blocks
                * (1 if across == 1 else across * mapping.tile_height),
                "tile_cycles": tiles,
                "micro_op_cycles": taps * (mapping.tile_out_channels // a.pe_rows) * mapping.tile_height,
                "start_cycles": 1,
            },
            steps=in_steps,
            hides=threads == 2,
        )
    ]


def _blocks(channels: int, tile: int, block: int) -> tuple[int, int]:
    """How many tiles, and how many blocks of channels in all of them."""
    return -(-channels // tile), -(-channels // block)


def _cuts(outputs: int, tile: int, inputs: int, kernel: int, layer: Layer) -> tuple[int, int]:
    """How many tiles along an axis, and how many input positions they read in all, clipped at the borders."""
    stride, padding = layer.stride, layer.padding
    read = 0
    for first in range(0, outputs, tile):
        last = min(first + tile, outputs) - 1
        read += min(last * stride - padding + kernel, inputs) - max(first * stride - padding, 0)
    return -(-outputs // tile), read


VTA = StructuralModel(
    engine="vta",
    terms=(
        Term(
            name="mac_cycles",
            meaning="multiplying one block by one block",
            median=1.0,
            spread=0.03,
            campaign_spread=0.02,
            role=Role.STEP,
            kind="compute",
        ),
        Term(
            name="step_cycles",
            meaning="issuing a step's instructions",
            median=100,
            spread=1.5,
            campaign_spread=_HARDWARE,
            role=Role.STEP,
            kind="overhead",
        ),
        Term(
            name="load_cycles",
            meaning="issuing a step's loads",
            median=100,
            spread=1.5,
            campaign_spread=_HARDWARE,
            role=Role.LOAD,
            kind="overhead",
        ),
        Term(
            name="input_cycles_per_byte",
            meaning="reading input",
            median=1 / 6,
            spread=0.7,
            campaign_spread=_HARDWARE,
            role=Role.LOAD,
            kind="input",
        ),
        Term(
            name="input_burst_cycles",
            meaning="beginning a burst of input",
            median=20,
            spread=1.5,
            campaign_spread=_HARDWARE,
            role=Role.LOAD,
            kind="input",
        ),
        Term(
            name="weight_cycles_per_byte",
            meaning="reading weights",
            median=1 / 6,
            spread=0.7,
            campaign_spread=_HARDWARE,
            role=Role.LOAD,
            kind="weights",
        ),
        Term(
            name="weight_burst_cycles",
            meaning="beginning a burst of weights",
            median=20,
            spread=1.5,
            campaign_spread=_HARDWARE,
            role=Role.LOAD,
            kind="weights",
        ),
        Term(
            name="result_cycles",
            meaning="finishing and storing one block of results",
            median=10,
            spread=1.5,
            campaign_spread=_DRIVER,
            role=Role.TILE,
            kind="output",
        ),
        Term(
            name="result_burst_cycles",
            meaning="beginning a burst of results",
            median=20,
            spread=1.5,
            campaign_spread=_HARDWARE,
            role=Role.TILE,
            kind="output",
        ),
        Term(
            name="tile_cycles",
            meaning="starting and joining a tile",
            median=200,
            spread=1.5,
            campaign_spread=0.5,
            role=Role.ALONE,
            kind="overhead",
        ),
        Term(
            name="micro_op_cycles",
            meaning="fetching a micro-operation",
            median=1.0,
            spread=1.0,
            campaign_spread=0.3,
            role=Role.ALONE,
            kind="overhead",
        ),
        Term(
            name="start_cycles",
            meaning="a run, call to return",
            median=2000,
            spread=1.5,
            campaign_spread=1.0,
            role=Role.ALONE,
            kind="overhead",
        ),
    ),
    unhidden=Parameter(
        name="unhidden",
        meaning="share of the shorter of two overlapping times that shows",
        median=0.1,
        spread=1.0,
        campaign_spread=0.3,
    ),
    demands=_demands,
    roofline=_roofline,
)
