"""The simulator and the closed form share no formula: words and trips must agree exactly, cycles closely."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.pricing.priced_cases import PRIOR, price_each
from support.pricing.random_layers import random_case, random_layers

from cost_models.mapping.mapping import LoopOrder, Mapping
from cost_models.simulator import simulate
from cost_models.workload import Layer, Operation
from hw_templates.board import Board, Ddr, load_board
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.errors import MappingError

BOARD = load_board("pynq-z2")


def closed_form(layer: Layer, mapping: Mapping, accelerator: Accelerator, board: Board) -> tuple[float, list[int]]:
    priced = price_each(layer, [mapping], accelerator, board)
    counts = (priced.trips, priced.ifmap_words, priced.weight_words, priced.ofmap_words, priced.residual_words)
    return float(priced.latency_cycles[0]), [float(count[0]) for count in counts]


@given(random_layers(18, 90), st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None)
def test_counts_agree_exactly(layer: Layer, seed: int) -> None:
    case = random_case(layer, seed)
    if case is None:
        return
    simulated = simulate(layer, *case, BOARD, PRIOR)
    words = (simulated.ifmap_words, simulated.weight_words, simulated.ofmap_words, simulated.residual_words)
    assert closed_form(layer, *case, BOARD)[1] == [simulated.compute_trips, *words]


def test_cycles_agree_where_the_ddr_has_bandwidth_to_spare() -> None:
    # Nothing is left but the slots of the pipeline, which the closed form counts by classes of tiles.
    board = replace(BOARD, ddr=Ddr(peak_gb_s=1e6, plan_gb_s=1e6))
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
            Operation.CONV if dense else Operation.DEPTHWISE,
            inputs,
            outputs if dense else inputs,
            size,
            size,
            kernel,
            kernel,
            stride,
            kernel // 2,
            bool(rng.integers(2)),
        )
        case = random_case(layer, int(rng.integers(2**32)))
        if case is not None:
            simulated = simulate(layer, *case, board, PRIOR).latency_cycles
            deviations.append(abs(closed_form(layer, *case, board)[0] / simulated - 1))
    return np.array(deviations)


def test_a_mapping_that_does_not_fit_is_refused() -> None:
    layer = Layer(Operation.CONV, 64, 64, 14, 14, 3, 3, 1, 1)
    accelerator = Accelerator(16, 16, 1, 1, 2, 2, 2, 64, 100, 8)
    with pytest.raises(MappingError, match="weight_kib"):
        simulate(layer, Mapping(64, 16, 1, 1, LoopOrder.PIXELS_OUTER), accelerator, BOARD, PRIOR)


@pytest.mark.parametrize(
    ("buffers", "split"),
    [
        # 1x1, 8 -> 8 channels, 4x4, in one tile: 16 trips + 16; the ifmap 40 + 4 + 16 words, weights 40 + 4 + 8, the
        # store as the ifmap. With two buffers each has a slot: nothing overlaps as there is one tile.
        ((2, 2, 2), (32, 60, 60)),
        ((1, 1, 1), (32, 60, 60)),
    ],
)
def test_cycles_are_split_by_what_was_waited_for(buffers: tuple[int, int, int], split: tuple[int, int, int]) -> None:
    board = replace(BOARD, ddr=Ddr(peak_gb_s=1e6, plan_gb_s=1e6))
    timing = replace(PRIOR.latency, access_latency_cycles=40, burst_overhead_cycles=4, pipeline_depth_cycles=16)
    accelerator = Accelerator(8, 8, 1, 1, 16, 16, 16, 64, 100, 8, 0, 1, *buffers)
    mapping = Mapping(8, 8, 4, 4, LoopOrder.PIXELS_OUTER)
    layer = Layer(Operation.CONV, 8, 8, 4, 4)
    ran = simulate(layer, mapping, accelerator, board, replace(PRIOR, latency=timing))
    assert (ran.compute_cycles, ran.load_wait_cycles, ran.store_wait_cycles) == split


def test_a_single_buffer_is_filled_after_what_reads_it() -> None:
    # Two tiles of rows. With two buffers the second load hides behind the computation, with one it does not.
    board = replace(BOARD, ddr=Ddr(peak_gb_s=1e6, plan_gb_s=1e6))
    layer, mapping = Layer(Operation.CONV, 64, 64, 8, 8, 3, 3, 1, 1), Mapping(64, 64, 4, 8, LoopOrder.PIXELS_OUTER)
    both = Accelerator(8, 8, 1, 1, 64, 64, 64, 64, 100, 8)
    cycles = {}
    for name in ("ifmap_buffers", "ofmap_buffers"):
        two, one = (simulate(layer, mapping, replace(both, **{name: count}), board, PRIOR) for count in (2, 1))
        assert two.compute_cycles == one.compute_cycles
        cycles[name] = one.latency_cycles - two.latency_cycles
        waited = "load_wait_cycles" if name == "ifmap_buffers" else "store_wait_cycles"
        assert getattr(one, waited) - getattr(two, waited) == cycles[name] > 0
