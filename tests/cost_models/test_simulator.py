"""The simulator and the closed form share no formula: words and iterations must agree exactly, cycles closely."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.pricing.priced_cases import PRIOR, price_each
from support.pricing.random_layers import random_case, random_layers
from support.pricing.random_steps import SHAPES, random_step
from support.pricing.shapes import accelerator_of

from cost_models.engine.counts import count_step
from cost_models.mapping.mapped_layer import MappedLayer
from cost_models.mapping.mapping import LoopOrder, Mapping
from cost_models.simulator import simulate, simulate_step
from cost_models.workload import Layer, Operation
from hw_templates.board import Board, Ddr, load_board
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.errors import MappingError

BOARD = load_board("pynq-z2")


def closed_form(layer: Layer, mapping: Mapping, accelerator: Accelerator, board: Board) -> tuple[float, list[int]]:
    priced = price_each(layer, [mapping], accelerator, board)
    counts = (priced.iterations, priced.ifmap_words, priced.weight_words, priced.ofmap_words, priced.residual_words)
    return float(priced.latency_cycles[0]), [float(count[0]) for count in counts]


@given(random_layers(18, 90), st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None)
def test_counts_agree_exactly(layer: Layer, seed: int) -> None:
    case = random_case(layer, seed)
    if case is None:
        return
    mapping, accelerator = case
    simulated = simulate(MappedLayer(layer, mapping), accelerator, BOARD, PRIOR)
    words = (simulated.ifmap_words, simulated.weight_words, simulated.ofmap_words, simulated.residual_words)
    assert closed_form(layer, mapping, accelerator, BOARD)[1] == [simulated.compute_iterations, *words]


@pytest.mark.parametrize("number", range(len(SHAPES)))
def test_a_step_moves_what_the_engine_counts_of_any_layer(number: int) -> None:
    rng, shape = np.random.default_rng(number), SHAPES[number]
    for _ in range(60):
        step = random_step(rng, shape)
        ran = simulate_step(step.tiled, map_in=False, map_out=False, loads_table=True, board=BOARD, coefficients=PRIOR)
        count = count_step(step)
        weight_words = ran.weight_words * shape.accelerator.weight_port_words
        assert (ran.compute_iterations, weight_words) == (count.trips.compute_trips, count.trips.weight_words), step
        assert (ran.ifmap_words, ran.ofmap_words) == (count.trips.ifmap_words, count.trips.ofmap_words), step
        assert ran.residual_words == count.ports.residual.words, step


def test_a_table_that_stays_is_not_loaded() -> None:
    step = random_step(np.random.default_rng(1), SHAPES[0])
    loads, stays = (
        simulate_step(step.tiled, map_in=False, map_out=False, loads_table=table, board=BOARD, coefficients=PRIOR)
        for table in (True, False)
    )
    # 256 bytes are 32 words of 8 bytes, of which two take one cycle and the DDR's bandwidth another.
    timing = PRIOR.latency
    fetched = timing.access_latency_cycles + timing.burst_overhead_cycles + 32
    assert loads.latency_cycles - stays.latency_cycles == fetched


def test_cycles_agree_where_the_ddr_has_bandwidth_to_spare() -> None:
    # Nothing is left but the slots of the pipeline, which the closed form counts by classes of tiles.
    board = replace(BOARD, ddr=Ddr(peak_gb_s=100.0, plan_gb_s=100.0))
    deviations = cycle_deviations(board, 300)
    assert np.median(deviations) < 1e-9
    assert np.quantile(deviations, 0.99) < 0.03
    assert deviations.max() < 0.08


def test_cycles_agree_where_ports_compete() -> None:
    deviations = cycle_deviations(BOARD, 300)
    assert np.median(deviations) < 0.005
    assert np.mean(deviations > 0.1) < 0.05
    assert deviations.max() < 0.3


def cycle_deviations(board: Board, count: int) -> np.ndarray:
    rng = np.random.default_rng(3)
    deviations = []
    while len(deviations) < count:
        kernel, size = int(rng.choice((1, 3, 5, 7))), int(rng.integers(1, 20))
        inputs, outputs, stride = (int(rng.integers(1, most)) for most in (120, 120, 3))
        dense = bool(rng.integers(2))
        layer = Layer(
            operation=Operation.CONV if dense else Operation.DEPTHWISE,
            in_channels=inputs,
            out_channels=outputs if dense else inputs,
            in_height=size,
            in_width=size,
            kernel_height=kernel,
            kernel_width=kernel,
            stride=stride,
            padding=kernel // 2,
            residual=bool(rng.integers(2)),
        )
        case = random_case(layer, int(rng.integers(2**32)))
        if case is not None:
            mapping, accelerator = case
            simulated = simulate(MappedLayer(layer, mapping), accelerator, board, PRIOR).latency_cycles
            deviations.append(abs(closed_form(layer, mapping, accelerator, board)[0] / simulated - 1))
    return np.array(deviations)


def test_a_mapping_that_does_not_fit_is_refused() -> None:
    layer = Layer(
        operation=Operation.CONV,
        in_channels=64,
        out_channels=64,
        in_height=14,
        in_width=14,
        kernel_height=3,
        kernel_width=3,
        stride=1,
        padding=1,
    )
    accelerator = Accelerator(
        pe_rows=16,
        pe_cols=16,
        pe_pixels=1,
        pack=1,
        ifmap_kib=2,
        weight_kib=2,
        ofmap_kib=2,
        axi_bits=64,
        clock_mhz=100,
    )
    tiles = Mapping(
        tile_out_channels=64, tile_in_channels=16, tile_height=1, tile_width=1, loop_order=LoopOrder.PIXELS_OUTER
    )
    with pytest.raises(MappingError, match="weight_kib"):
        simulate(MappedLayer(layer, tiles), accelerator, BOARD, PRIOR)


@pytest.mark.parametrize(
    ("buffers", "split"),
    [
        # 1x1, 8 -> 8 channels, 4x4, in one tile: 16 iterations + 16; the ifmap 40 + 4 + 16 words, weights 40 + 4 + 8,
        # the store as the ifmap. With two buffers each has a slot: nothing overlaps as there is one tile.
        ((2, 2, 2), (32, 60, 60)),
        ((1, 1, 1), (32, 60, 60)),
    ],
)
def test_cycles_are_split_by_what_was_waited_for(buffers: tuple[int, int, int], split: tuple[int, int, int]) -> None:
    board = replace(BOARD, ddr=Ddr(peak_gb_s=100.0, plan_gb_s=100.0))
    timing = replace(PRIOR.latency, access_latency_cycles=40, burst_overhead_cycles=4, pipeline_depth_cycles=16)
    accelerator = accelerator_of(8, 8, 1, 1, 16, 16, 16, 64, 100, 0, 1, *buffers)
    mapping = Mapping(
        tile_out_channels=8, tile_in_channels=8, tile_height=4, tile_width=4, loop_order=LoopOrder.PIXELS_OUTER
    )
    layer = Layer(operation=Operation.CONV, in_channels=8, out_channels=8, in_height=4, in_width=4)
    ran = simulate(MappedLayer(layer, mapping), accelerator, board, replace(PRIOR, latency=timing))
    assert (ran.compute_cycles, ran.load_wait_cycles, ran.store_wait_cycles) == split


def test_a_single_buffer_is_filled_after_what_reads_it() -> None:
    # Two tiles of rows. With two buffers the second load hides behind the computation, with one it does not.
    board = replace(BOARD, ddr=Ddr(peak_gb_s=100.0, plan_gb_s=100.0))
    layer, mapping = (
        Layer(
            operation=Operation.CONV,
            in_channels=64,
            out_channels=64,
            in_height=8,
            in_width=8,
            kernel_height=3,
            kernel_width=3,
            stride=1,
            padding=1,
        ),
        Mapping(
            tile_out_channels=64, tile_in_channels=64, tile_height=4, tile_width=8, loop_order=LoopOrder.PIXELS_OUTER
        ),
    )
    both = Accelerator(
        pe_rows=8,
        pe_cols=8,
        pe_pixels=1,
        pack=1,
        ifmap_kib=64,
        weight_kib=64,
        ofmap_kib=64,
        axi_bits=64,
        clock_mhz=100,
    )
    cycles = {}
    for name in ("ifmap_buffers", "ofmap_buffers"):
        two, one = (
            simulate(MappedLayer(layer, mapping), replace(both, **{name: count}), board, PRIOR) for count in (2, 1)
        )
        assert two.compute_cycles == one.compute_cycles
        cycles[name] = one.latency_cycles - two.latency_cycles
        waited = "load_wait_cycles" if name == "ifmap_buffers" else "store_wait_cycles"
        assert getattr(one, waited) - getattr(two, waited) == cycles[name] > 0
