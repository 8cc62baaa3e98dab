"""Prices of accelerators as hls4ml 1.3.0 emits them: latency, energy and resources in closed form.

Latency: :func:`cost_models.hls4ml.streams.stream_cycles` for streams; one layer after the other for parallel maps.
Resources are counted from hls4ml's C++ (templates/vivado and vitis/nnet_utils), layer by layer:

    multipliers   products of a pixel / reuse factor, a DSP slice each      nnet_dense_resource.h, block_factor
    weights       a word of all multipliers' weights, reuse factor deep     ARRAY_RESHAPE there; registers for 1x1
    streams       a FIFO of a whole map for each stream                     STREAM depth in the emitted top function
    windows       kernel x kernel pixels, and kernel - 1 rows               nnet_conv_stream.h, shift_line_buffer

LUT and FF are estimates with prior coefficients: no vendor tool has synthesised these designs. A tool may turn narrow
products into logic instead, which this model does not know.
"""

import math
from dataclasses import dataclass
from functools import cache

from cost_models.closed_form.estimate import network_energy_mj
from cost_models.coefficients import load_coefficients
from cost_models.hls4ml.stages import StreamStage, reuse_factors, stages
from cost_models.hls4ml.streams import stream_cycles
from cost_models.resources import RESOURCES, PairEstimate, Resources, block_rams
from cost_models.workload import Activation, Node, Operation, Workload
from hw_templates.board import Board
from hw_templates.foundation.errors import ResourceError
from hw_templates.hls4ml.parameters import Hls4mlAccelerator, IoType

RESIDUAL_BITS = 24
"""Of a sum that a residual is yet to be added to: emitted so wide that it never saturates."""
# Memories as shallow as a LUT is deep, and FIFOs of few bits, are made of LUTs (Vitis HLS, auto_srl_max_bits).
_LUT_DEPTH = 64
_SHIFT_DEPTH = 32
_SHIFT_FIFO_BITS = 1024


@dataclass(frozen=True, kw_only=True)
class Hls4mlCoefficients:
    """Numbers that the model takes from measurements or a prior.

    Attributes:
        name: in the identity of a study.
        source: of the values.
        call_ms: of driver and DMA, once an image.
        fill_cycles: of a layer's pipeline, where layers run one after the other.
        lut_base, ff_base: of the design: control, DMA and its interconnect.
        lut_per_layer, ff_per_layer: loop control and handshakes.
        lut_per_sum_bit: adder and rounding of a multiplier's or output channel's sum.
    """

    name: str
    source: str
    call_ms: float
    fill_cycles: int
    lut_base: int
    ff_base: int
    lut_per_layer: int
    ff_per_layer: int
    lut_per_sum_bit: float


PRIOR = Hls4mlCoefficients(
    name="dataflow-prior",
    source="call_ms: the constant that fits four hls4ml designs measured on a PYNQ-Z2 in MLPerf Tiny v0.5 and v0.7 "
    "best (benchmarks/calibration.py); the rest counted by hand, fitted to no synthesis",
    call_ms=0.011,
    fill_cycles=12,
    lut_base=3000,
    ff_base=4000,
    lut_per_layer=250,
    ff_per_layer=350,
    lut_per_sum_bit=1.0,
)


@dataclass(frozen=True)
class StreamStageEstimate:
    """The price of one layer: its reuse factor, the cycles it is busy for an image, and what it is made of."""

    name: str
    reuse_factor: int
    busy_cycles: int
    resources: Resources


@dataclass(frozen=True, kw_only=True)
class Hls4mlEstimate(PairEstimate):
    """The price of a network in hardware of its own; latency from call to result, energy with idle power.

    Attributes:
        interval_ms: between images that follow each other.
        layers: in the order they run.
    """

    interval_ms: float
    layers: tuple[StreamStageEstimate, ...]


def price_hls4ml(
    workload: Workload, design: Hls4mlAccelerator, board: Board, coefficients: Hls4mlCoefficients = PRIOR
) -> Hls4mlEstimate:
    """Price a network with an accelerator on a board; it need not fit.

    Raises:
        UnsupportedLayerError: hls4ml cannot convert a layer.
    """
    return price_clocks(workload, design, (design.clock_mhz,), board, coefficients)[0]


def price_clocks(
    workload: Workload,
    design: Hls4mlAccelerator,
    clocks_mhz: tuple[int, ...],
    board: Board,
    coefficients: Hls4mlCoefficients = PRIOR,
) -> tuple[Hls4mlEstimate, ...]:
    """Price a network as :func:`price_hls4ml` does, at each of some clocks instead of the design's own."""
    network = stages(workload, design.io_type)
    factors = reuse_factors(network, design)
    layers = tuple(
        StreamStageEstimate(
            stage.name,
            factor,
            stage.pixels * factor,
            _stage_resources(node, factor, design.precision_bits, design.io_type, coefficients),
        )
        for node, stage, factor in zip(workload, network, factors, strict=True)
    )
    busy = [layer.busy_cycles for layer in layers]
    if design.io_type == IoType.STREAM:
        cycles = stream_cycles([stage.stream_layer(factor) for stage, factor in zip(network, factors, strict=True)])
    else:
        cycles = sum(busy) + coefficients.fill_cycles * len(busy)
    totals = {name: sum(getattr(layer.resources, name) for layer in layers) for name in RESOURCES}
    totals["lut"] += coefficients.lut_base
    totals["ff"] += coefficients.ff_base
    resources, dynamic_mj = Resources(**totals), _dynamic_mj(workload, design)
    found = []
    for clock_mhz in clocks_mhz:
        latency_ms = coefficients.call_ms + cycles / (clock_mhz * 1e3)
        energy_mj = network_energy_mj(dynamic_mj, latency_ms, board)
        found.append(
            Hls4mlEstimate(
                latency_ms=latency_ms,
                interval_ms=max(busy) / (clock_mhz * 1e3),
                energy_mj=energy_mj,
                resources=resources,
                layers=layers,
            )
        )
    return tuple(found)


def check_hls4ml_fits(estimate: Hls4mlEstimate, board: Board) -> None:
    """Say whether a design can be built for a board.

    Raises:
        ResourceError: it needs more than there is; names every resource that is short.
    """
    short = [
        f"{name}: needs {getattr(estimate.resources, name)} of {getattr(board, name)} on {board.name}"
        for name in RESOURCES
        if getattr(estimate.resources, name) > getattr(board, name)
    ]
    if short:
        raise ResourceError("; ".join(short))


def _dynamic_mj(workload: Workload, design: Hls4mlAccelerator) -> float:
    """Return the energy of products, of the values read for each on chip, and of image and result in the DDR."""
    energy = load_coefficients().energy
    first, last = workload.nodes[0].layer, workload.nodes[-1].layer
    on_chip = 2 * workload.macs * design.precision_bits / 8
    ddr = first.in_channels * first.in_height * first.in_width + last.out_channels
    picojoules = workload.macs * energy.mac_pj + on_chip * energy.buffer_pj_per_byte + ddr * energy.ddr_pj_per_byte
    return picojoules * 1e-9


@cache
def _stage_resources(node: Node, factor: int, bits: int, io_type: IoType, c: Hls4mlCoefficients) -> Resources:
    stage, layer = StreamStage.of(node), node.layer
    multipliers = stage.multiplications // factor
    sum_bits = 2 * bits + math.ceil(math.log2(max(stage.inputs, 2)))
    bram, lut, ff = 0, c.lut_per_layer, c.ff_per_layer
    # A multiplier selects one of as many values as its reuse factor, at most one of each input; beyond that, sums
    # take turns as well.
    lut += multipliers * bits * _multiplexer(min(factor, stage.inputs))
    lut += math.ceil((multipliers + stage.outputs) * sum_bits * c.lut_per_sum_bit)
    if factor > stage.inputs:
        lut += multipliers * sum_bits * _multiplexer(factor // stage.inputs)
    ff += stage.outputs * sum_bits
    depthwise = layer.operation == Operation.DEPTHWISE
    in_registers = layer.kernel_height == 1 or (depthwise and io_type == IoType.PARALLEL)
    if factor < _LUT_DEPTH or in_registers:
        lut += multipliers * bits * math.ceil(factor / _LUT_DEPTH)
    else:
        bram += int(block_rams(factor, multipliers * bits))
    maps = _streams(node, bits) if io_type == IoType.STREAM else ()
    for depth, width in maps:
        if depth * width <= _SHIFT_FIFO_BITS:
            lut += width * math.ceil(depth / _SHIFT_DEPTH)
        else:
            bram += int(block_rams(depth, width))
    if io_type == IoType.PARALLEL:
        ff += layer.out_channels * stage.pixels * bits
        lut += (stage.inputs * bits * _multiplexer(stage.pixels)) if stage.multiplications else 0
    elif layer.kernel_height > 1 and stage.multiplications:
        columns = layer.in_width + 2 * layer.padding
        lut += (layer.kernel_height - 1) * layer.in_channels * bits * math.ceil(columns / _SHIFT_DEPTH)
        ff += stage.inputs * bits
    return Resources(dsp=multipliers, bram_18k=bram, uram=0, lut=lut, ff=ff)


def _multiplexer(ways: int) -> int:
    """LUTs that select one of ``ways`` bits: a 6-input LUT selects one of four."""
    return math.ceil((ways - 1) / 3)


def _streams(node: Node, bits: int) -> list[tuple[int, int]]:
    """(depth, width in bits) of the FIFOs that a node writes: its padded input, its sums, and what follows them."""
    layer = node.layer
    pixels = layer.out_height * layer.out_width
    found = []
    if layer.padding:
        padded = (layer.in_height + 2 * layer.padding) * (layer.in_width + 2 * layer.padding)
        found.append((padded, layer.in_channels * bits))
    found.append((pixels, layer.out_channels * (RESIDUAL_BITS if layer.residual else bits)))
    if node.activation == Activation.RELU:
        found.append((pixels, layer.out_channels * bits))
    if layer.residual:
        # The sum, and both copies of what is added: hls4ml clones the stream that two layers read.
        found += [(pixels, layer.out_channels * bits)] * 3
    return found
