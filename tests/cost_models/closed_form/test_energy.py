"""Bytes counted access by access, and energies worked out by hand."""

import math
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.pricing.priced_cases import PRIOR, price_each
from support.pricing.random_layers import random_case, random_layers, walk_steps

from cost_models.closed_form.layer_table import price_layers
from cost_models.coefficients import EnergyCoefficients
from cost_models.mapping.mapped_layer import MappedLayer
from cost_models.mapping.mapping import LoopOrder, Mapping
from cost_models.simulator import simulate
from cost_models.workload import Layer, Operation
from hw_templates.board import load_board
from hw_templates.conv_engine.accelerator import Accelerator

BOARD = load_board("pynq-z2")


@dataclass(frozen=True)
class Moved:
    buffer: float
    ddr: float


def stated(layer: Layer, mapping: Mapping, accelerator: Accelerator) -> Moved:
    """What the formulas state: the energy where a byte through a buffer takes a millijoule, and nothing else any."""
    free = replace(PRIOR, energy=EnergyCoefficients(mac_pj=0.0, buffer_pj_per_byte=1e9, ddr_pj_per_byte=0.0))
    priced = price_each(layer, [mapping], accelerator, BOARD, free)
    return Moved(float(priced.energy_mj[0]), float(priced.ddr_bytes[0]))


def counted(layer: Layer, mapping: Mapping, accelerator: Accelerator) -> Moved:
    """What the steps move one after the other; the words are those of the simulator."""
    dense = layer.operation == Operation.CONV
    rows, cols, pixels, lanes = (
        accelerator.pe_rows,
        accelerator.pe_cols,
        accelerator.pe_pixels,
        accelerator.lanes,
    )
    buffer = 0
    for step in walk_steps(layer, mapping):
        places = len(step.rows) * len(range(0, len(step.cols), pixels))
        out_groups = len(range(0, len(step.outputs), rows if dense else lanes))
        in_groups = len(range(0, len(step.inputs), cols)) if dense else 1
        iterations = out_groups * in_groups * layer.kernel_height * layer.kernel_width * places
        buffer += iterations * (cols * pixels + cols * rows if dense else lanes * pixels + lanes)
        sums = out_groups * places * (rows if dense else lanes) * pixels
        buffer += 4 * sums
        if dense and step.inputs.start > 0:
            buffer += 4 * sums
        if not dense or step.inputs.stop == layer.in_channels:
            buffer += 4 * len(step.outputs) * len(step.rows) * len(step.cols)
    word, moved = accelerator.axi_bytes, simulate(MappedLayer(layer, mapping), accelerator, BOARD, PRIOR)
    maps = (moved.ifmap_words + moved.weight_words + moved.ofmap_words) * word
    lanes = accelerator.post_lanes
    channels = lanes * math.ceil(layer.out_channels / lanes)
    if layer.operation.averages:
        # A line for each class of rows and columns, of which the last may overhang the map.
        rows, cols = (
            1 + (size > 1 and size % 2) * (kernel == 2)
            for size, kernel in ((layer.in_height, layer.kernel_height), (layer.in_width, layer.kernel_width))
        )
        channels = lanes * rows * cols
    setup = 512 + channels * 8 + 256
    return Moved(buffer + maps, maps + moved.residual_words * word + setup)


@given(random_layers(12, 60), st.integers(0, 2**32 - 1))
@settings(max_examples=120, deadline=None)
def test_bytes_are_those_of_every_access(layer: Layer, seed: int) -> None:
    case = random_case(layer, seed)
    if case is not None:
        wanted, found = counted(layer, *case), stated(layer, *case)
        assert (found.buffer, found.ddr) == (pytest.approx(wanted.buffer, rel=1e-12), wanted.ddr)


def test_tiles_of_input_channels_read_the_sums_again() -> None:
    # 1x1, 32 -> 16 channels, 8x8: two tiles of 16 input channels write 64 * 16 sums each, the second reads those of
    # the first. In one tile they are written once. In DDR only the bursts differ.
    layer, accelerator = (
        Layer(operation=Operation.CONV, in_channels=32, out_channels=16, in_height=8, in_width=8),
        Accelerator(
            pe_rows=16,
            pe_cols=16,
            pe_pixels=1,
            pack=1,
            ifmap_kib=64,
            weight_kib=64,
            ofmap_kib=64,
            axi_bits=64,
            clock_mhz=100,
        ),
    )
    whole = stated(
        layer,
        Mapping(
            tile_out_channels=16, tile_in_channels=32, tile_height=8, tile_width=8, loop_order=LoopOrder.PIXELS_OUTER
        ),
        accelerator,
    )
    cut = stated(
        layer,
        Mapping(
            tile_out_channels=16, tile_in_channels=16, tile_height=8, tile_width=8, loop_order=LoopOrder.PIXELS_OUTER
        ),
        accelerator,
    )
    assert cut.buffer - whole.buffer == pytest.approx(2 * 64 * 16 * 4)
    assert cut.ddr == whole.ddr


def test_energy_counts_every_access() -> None:
    # One tile of a 1x1 layer, 16 -> 16 channels, 64 pixels: 64 iterations read 16 + 256 bytes; sums are written and
    # read once, 16 * 4 bytes a pixel; maps and weights fill and leave the buffers; DDR moves these and the setup.
    layer = Layer(operation=Operation.CONV, in_channels=16, out_channels=16, in_height=8, in_width=8)
    table = price_layers(
        [layer],
        [
            Accelerator(
                pe_rows=16,
                pe_cols=16,
                pe_pixels=1,
                pack=1,
                ifmap_kib=64,
                weight_kib=64,
                ofmap_kib=64,
                axi_bits=64,
                clock_mhz=100,
            )
        ],
        BOARD,
        PRIOR,
    )
    maps, weights, setup = 64 * 16, 16 * 16, 512 + 16 * 8 + 256
    buffers = 64 * (16 + 256) + 2 * 64 * 16 * 4 + 2 * maps + weights
    expected = 64 * 256 * 3.6 + buffers * 15.0 + (2 * maps + weights + setup) * 162.5
    assert table.energy_mj[0, 0] == pytest.approx(expected * 1e-9)
