"""Cycles worked out by hand; the coefficients here are round numbers, not those of the package."""

from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.pricing.priced_cases import price_each
from support.pricing.random_layers import random_case, random_layers

from cost_models.closed_form.layer_prices import LayerPrices
from cost_models.coefficients import Coefficients, load_coefficients
from cost_models.mapping.mapping import LoopOrder, Mapping
from cost_models.workload import Layer, Operation
from hw_templates.board import load_board
from hw_templates.conv_engine.accelerator import Accelerator

AXES = ("tile_out_channels", "tile_in_channels", "tile_height", "tile_width")


BOARD = load_board("pynq-z2")
ACCELERATOR = Accelerator(
    pe_rows=8,
    pe_cols=8,
    pe_pixels=4,
    pack=1,
    ifmap_kib=16,
    weight_kib=16,
    ofmap_kib=16,
    axi_bits=64,
    clock_mhz=100,
)


def round_coefficients() -> Coefficients:
    prior = load_coefficients()
    latency = replace(
        prior.latency,
        access_latency_cycles=40,
        burst_overhead_cycles=4,
        pipeline_depth_cycles=16,
        slot_overhead_cycles=8,
        layer_overhead_cycles=64,
        ddr_efficiency=1.0,
    )
    return replace(prior, latency=latency)


def priced(layer: Layer, mapping: Mapping, accelerator: Accelerator = ACCELERATOR) -> LayerPrices:
    return price_each(layer, [mapping], accelerator, BOARD, round_coefficients())


def test_one_tile_by_hand() -> None:
    # 3x3, 8 -> 8 channels, 4x4 pixels in one tile. DDR: 8 bytes * 100 MHz / 1.6 GB/s = 0.5 cycles a word: never binds.
    # load     max(ifmap 16 words + 1 burst, weights 9 * 64 / 8 = 72 words + 1 burst) = 76, after 40 -> 116
    # compute  9 taps * 4 rows * 1 pixel group = 36 iterations, + 16                                       ->  52
    # store    16 words + 1 burst = 20, after 40                                                      ->  60
    # three slots of 8                                                                                ->  24
    # setup    descriptor 64, parameters 8, table 32 words, 3 * (40 + 4), 64                          -> 300
    result = priced(
        Layer(
            operation=Operation.CONV,
            in_channels=8,
            out_channels=8,
            in_height=4,
            in_width=4,
            kernel_height=3,
            kernel_width=3,
            stride=1,
            padding=1,
        ),
        Mapping(
            tile_out_channels=8, tile_in_channels=8, tile_height=4, tile_width=4, loop_order=LoopOrder.PIXELS_OUTER
        ),
    )
    assert result.setup_cycles[0] == 300
    assert result.latency_cycles[0] == 116 + 52 + 60 + 24 + 300
    assert (result.iterations[0], result.ifmap_words[0], result.weight_words[0], result.ofmap_words[0]) == (
        36,
        16,
        72,
        16,
    )
    assert result.ddr_bytes[0] == (16 + 72 + 16 + 64 + 8 + 32) * 8


def test_weights_of_four_bits_take_half_the_time_to_load() -> None:
    # As above but 9 lines of weights lie in 5, which are 40 words: the load is 40 + 40 + 4, no longer 116.
    layer = Layer(
        operation=Operation.CONV,
        in_channels=8,
        out_channels=8,
        in_height=4,
        in_width=4,
        kernel_height=3,
        kernel_width=3,
        stride=1,
        padding=1,
        weight_bits=4,
    )
    result = priced(
        layer,
        Mapping(
            tile_out_channels=8, tile_in_channels=8, tile_height=4, tile_width=4, loop_order=LoopOrder.PIXELS_OUTER
        ),
    )
    assert result.latency_cycles[0] == 84 + 52 + 60 + 24 + 300
    assert result.iterations[0] == 36
    assert result.ddr_bytes[0] == (16 + 40 + 16 + 64 + 8 + 32) * 8


def test_output_channels_inside_by_hand() -> None:
    # 16 output channels in 2 tiles, rows in 2 tiles, pixels outside: 4 steps.
    # ifmap tile 3 rows * 4 = 12 words in 1 burst; weights 72 words; 18 iterations; 8 results, each a burst as it
    # holds one of two words: 8 + 8 * 4 = 40.
    # slot 0: ifmap and weights 40 + 76 = 116     slot 1: weights, compute (34) 116    slot 2: all three 116
    # slot 3: weights, compute, store 116         slot 4: compute, store 40 + 40 = 80  slot 5: store 80
    layer = Layer(
        operation=Operation.CONV,
        in_channels=8,
        out_channels=16,
        in_height=4,
        in_width=4,
        kernel_height=3,
        kernel_width=3,
        stride=1,
        padding=1,
    )
    result = priced(
        layer,
        Mapping(
            tile_out_channels=8, tile_in_channels=8, tile_height=2, tile_width=4, loop_order=LoopOrder.PIXELS_OUTER
        ),
    )
    assert result.latency_cycles[0] == 4 * 116 + 2 * 80 + 6 * 8 + (64 + 16 + 32 + 132 + 64)
    # The ifmap is loaded once a tile of rows, weights in every step.
    assert result.ifmap_words[0] == 2 * 12
    assert result.weight_words[0] == 4 * 72


def test_pixels_inside_by_hand() -> None:
    # The same with channels outside: weights twice, the ifmap in every step.
    # slot 0: 116   slot 1: ifmap (56), compute (34): 56   slot 2: weights 116   slot 3: ifmap, compute, store 80
    # slots 4 and 5: 80
    layer = Layer(
        operation=Operation.CONV,
        in_channels=8,
        out_channels=16,
        in_height=4,
        in_width=4,
        kernel_height=3,
        kernel_width=3,
        stride=1,
        padding=1,
    )
    result = priced(
        layer,
        Mapping(
            tile_out_channels=8, tile_in_channels=8, tile_height=2, tile_width=4, loop_order=LoopOrder.CHANNELS_OUTER
        ),
    )
    assert result.latency_cycles[0] == 116 + 56 + 116 + 3 * 80 + 6 * 8 + (64 + 16 + 32 + 132 + 64)
    assert result.ifmap_words[0] == 4 * 12
    assert result.weight_words[0] == 2 * 72


def test_input_channels_inside_by_hand() -> None:
    # 16 input channels in 2 tiles: each pixel of a tile is a burst of its own, 16 + 16 * 4 = 80.
    # slot 0: load 120   slot 1: load, compute 120   slot 2: compute 36 + 16 = 52   slot 3: store 40 + 20 = 60
    layer = Layer(
        operation=Operation.CONV,
        in_channels=16,
        out_channels=8,
        in_height=4,
        in_width=4,
        kernel_height=3,
        kernel_width=3,
        stride=1,
        padding=1,
    )
    result = priced(
        layer,
        Mapping(
            tile_out_channels=8, tile_in_channels=8, tile_height=4, tile_width=4, loop_order=LoopOrder.PIXELS_OUTER
        ),
    )
    assert result.latency_cycles[0] == 120 + 120 + 52 + 60 + 4 * 8 + 300


def test_sums_of_all_output_channels_stay_by_hand() -> None:
    # 16 -> 16 channels in 2 x 2 tiles. ifmap tile 120 as above, weights 40 + 76 = 116, compute 52.
    # slot 0: ifmap and weights 120   slot 1: weights 116   slot 2: ifmap, weights 120   slot 3: weights 116
    # slot 4: compute 52   slot 5: all 16 channels in one burst, 40 + 36 = 76
    layer = Layer(
        operation=Operation.CONV,
        in_channels=16,
        out_channels=16,
        in_height=4,
        in_width=4,
        kernel_height=3,
        kernel_width=3,
        stride=1,
        padding=1,
    )
    result = priced(
        layer,
        Mapping(
            tile_out_channels=8, tile_in_channels=8, tile_height=4, tile_width=4, loop_order=LoopOrder.INPUTS_OUTER
        ),
    )
    assert result.latency_cycles[0] == 2 * 120 + 2 * 116 + 52 + 76 + 6 * 8 + (64 + 16 + 32 + 132 + 64)
    assert (result.ifmap_words[0], result.weight_words[0], result.ofmap_words[0]) == (2 * 16, 4 * 72, 32)


@pytest.mark.parametrize(
    ("name", "cycles"),
    [
        # Channels inside as above: ifmap 56, weights 116, compute 34, store 80. Weights come after the slowest of the
        # rest; in the other case each store before it.
        ("weight_buffers", (56 + 116) + (34 + 116) + (80 + 116) + (80 + 116) + 80 + 80),
        ("ofmap_buffers", 116 + 116 + (80 + 116) + (80 + 116) + (80 + 34) + 80),
    ],
)
def test_single_buffers_by_hand(name: str, cycles: int) -> None:
    layer = Layer(
        operation=Operation.CONV,
        in_channels=8,
        out_channels=16,
        in_height=4,
        in_width=4,
        kernel_height=3,
        kernel_width=3,
        stride=1,
        padding=1,
    )
    accelerator = replace(ACCELERATOR, **{name: 1})
    result = priced(
        layer,
        Mapping(
            tile_out_channels=8, tile_in_channels=8, tile_height=2, tile_width=4, loop_order=LoopOrder.PIXELS_OUTER
        ),
        accelerator,
    )
    assert result.latency_cycles[0] == cycles + 6 * 8 + (64 + 16 + 32 + 132 + 64)


def test_a_residual_is_read_during_the_computation() -> None:
    # 1x1: 4 iterations + 16 = 20 cycles of compute are hidden by 40 + 20 cycles that read 16 words in 1 burst.
    mapping = Mapping(
        tile_out_channels=8, tile_in_channels=8, tile_height=4, tile_width=4, loop_order=LoopOrder.PIXELS_OUTER
    )
    plain = priced(Layer(operation=Operation.CONV, in_channels=8, out_channels=8, in_height=4, in_width=4), mapping)
    added = priced(
        Layer(operation=Operation.CONV, in_channels=8, out_channels=8, in_height=4, in_width=4, residual=True), mapping
    )
    assert added.latency_cycles[0] - plain.latency_cycles[0] == 60 - 20
    assert added.ddr_bytes[0] - plain.ddr_bytes[0] == 16 * 8


@pytest.mark.parametrize(
    ("layer", "mapping", "weight_words", "iterations"),
    [
        # 25 taps * 2 groups of 8 lanes; each of 16 channels in 2 words.
        (
            Layer(
                operation=Operation.DEPTHWISE,
                in_channels=16,
                out_channels=16,
                in_height=4,
                in_width=4,
                kernel_height=5,
                kernel_width=5,
                stride=1,
                padding=2,
            ),
            (16, 16, 4, 4),
            25 * 16 // 8,
            2 * 25 * 4,
        ),
        # No weights; the kernel is the map.
        (
            Layer(
                operation=Operation.POOL,
                in_channels=16,
                out_channels=16,
                in_height=4,
                in_width=4,
                kernel_height=4,
                kernel_width=4,
            ),
            (16, 16, 1, 1),
            0,
            2 * 16,
        ),
        # The gate of 12 channels in 2 words.
        (
            Layer(operation=Operation.SCALE, in_channels=12, out_channels=12, in_height=4, in_width=4),
            (16, 16, 4, 4),
            2,
            2 * 4,
        ),
    ],
)
def test_channelwise_operations(
    layer: Layer, mapping: tuple[int, int, int, int], weight_words: int, iterations: int
) -> None:
    result = priced(layer, Mapping(**dict(zip(AXES, mapping, strict=True)), loop_order=LoopOrder.PIXELS_OUTER))
    assert result.weight_words[0] == weight_words
    assert result.iterations[0] == iterations


@given(random_layers(14, 70), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_never_faster_than_compute_and_memory_allow(layer: Layer, seed: int) -> None:
    case = random_case(layer, seed)
    assume(case is not None)
    mapping, accelerator = case
    result = priced(layer, mapping, accelerator)
    ddr_cycles = result.ddr_bytes[0] / (BOARD.ddr.plan_gb_s * 1e3 / accelerator.clock_mhz)
    assert result.latency_cycles[0] >= result.iterations[0]
    assert result.latency_cycles[0] >= ddr_cycles * (1 - 1e-9)
    parallel = accelerator.pe_rows * accelerator.pe_cols if layer.operation == Operation.CONV else accelerator.lanes
    assert result.iterations[0] * parallel * accelerator.pe_pixels >= layer.macs
