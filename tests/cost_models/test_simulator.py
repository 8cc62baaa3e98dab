"""The simulator and the closed form share no formula: words and trips must agree exactly, cycles closely."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from priced_cases import PRIOR, price_each
from random_layers import random_case, random_layers

from cost_models.mapping import LoopOrder, Mapping
from cost_models.simulator import simulate
from cost_models.workload import Layer, Operation
from hw_templates.accelerator import Accelerator
from hw_templates.board import Board, Ddr, load_board
from hw_templates.errors import MappingError

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
