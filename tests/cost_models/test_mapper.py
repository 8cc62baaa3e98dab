"""The mapper's choice against plain loops over single mappings."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from priced_cases import PRIOR, price_each
from random_layers import random_layers

from cost_models.layer_table import price_layers
from cost_models.mapping import LoopOrder, Mapping, channel_units, enumerate_mappings
from cost_models.workload import Layer, Operation
from hw_templates.accelerator import Accelerator
from hw_templates.accelerator_space import AcceleratorSpace
from hw_templates.board import load_board

BOARD = load_board("pynq-z2")
CLOSE = 1e-9


def least_cycles(layer: Layer, mappings: list[Mapping], accelerator: Accelerator) -> float:
    """The least latency of the mappings, each priced as a case of its own."""
    return float(price_each(layer, mappings, accelerator).latency_cycles.min())


def fits(mapping: Mapping, layer: Layer, accelerator: Accelerator) -> bool:
    return all(need.words <= need.depth for need in mapping.needs(layer, accelerator))


def every_mapping(layer: Layer, accelerator: Accelerator) -> list[Mapping]:
    """All legal mappings: every tile size along every axis, every loop order."""
    out_unit, in_unit = channel_units(layer, accelerator)
    dense = layer.operation == Operation.CONV
    outs = [out_unit * n for n in range(1, math.ceil(layer.out_channels / out_unit) + 1)]
    ins = [in_unit * n for n in range(1, math.ceil(layer.in_channels / in_unit) + 1)]
    heights, widths = range(1, layer.out_height + 1), range(1, layer.out_width + 1)
    channels = itertools.product(outs, ins) if dense else ((out, out) for out in outs)
    orders = [order for order in LoopOrder if dense or order != LoopOrder.INPUTS_OUTER]
    tilings = itertools.product(channels, heights, widths, orders)
    mappings = (Mapping(*channel, height, width, order) for channel, height, width, order in tilings)
    return [mapping for mapping in mappings if fits(mapping, layer, accelerator)]


def random_accelerator(seed: int) -> Accelerator:
    return AcceleratorSpace(BOARD).sample(np.random.default_rng(seed), 1)[0]


@given(random_layers(6, 24), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_best_of_small_layers_is_the_exhaustive_best(layer: Layer, seed: int) -> None:
    accelerator = random_accelerator(seed)
    mappings = every_mapping(layer, accelerator)
    table = price_layers([layer], [accelerator], BOARD, PRIOR)
    assert np.isfinite(table.latency_cycles[0, 0]) == bool(mappings)
    if mappings:
        table.mapping(0, 0).check(layer, accelerator)
        assert table.latency_cycles[0, 0] == pytest.approx(least_cycles(layer, mappings, accelerator), rel=CLOSE)


@given(random_layers(40, 200), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_best_is_that_of_the_readable_enumeration(layer: Layer, seed: int) -> None:
    accelerator = random_accelerator(seed)
    mappings = enumerate_mappings(layer, accelerator)
    table = price_layers([layer], [accelerator], BOARD, PRIOR)
    assert table.candidates == len(mappings)
    assert np.isfinite(table.latency_cycles[0, 0]) == bool(mappings)
    if mappings:
        mapping = table.mapping(0, 0)
        mapping.check(layer, accelerator)
        assert mapping in mappings
        assert table.latency_cycles[0, 0] == pytest.approx(least_cycles(layer, mappings, accelerator), rel=CLOSE)


@given(st.lists(random_layers(20, 100), min_size=1, max_size=8), st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_company_changes_nothing(layers: list[Layer], seed: int) -> None:
    accelerators = AcceleratorSpace(BOARD).sample(np.random.default_rng(seed), 5)
    together = price_layers(layers, accelerators, BOARD, PRIOR)
    for row, column in itertools.product(range(len(layers)), range(5)):
        alone = price_layers([layers[row]], [accelerators[column]], BOARD, PRIOR)
        assert together.latency_cycles[row, column] == alone.latency_cycles[0, 0]
        assert together.energy_mj[row, column] == alone.energy_mj[0, 0]


def test_larger_splits_are_close_to_the_exhaustive_best() -> None:
    # Beyond the sizes of which every split is tried, balanced splits may miss the best; never by much here.
    rng = np.random.default_rng(7)
    gaps = []
    for _ in range(6):
        layer = Layer(Operation.CONV, int(rng.integers(60, 200)), int(rng.integers(60, 200)), 14, 14, 3, 3, 1, 1)
        accelerator = Accelerator(8, 8, 2, 2, int(rng.choice((8, 16))), int(rng.choice((8, 16))), 8, 64, 100, 8)
        mappings = every_mapping(layer, accelerator)
        best = price_layers([layer], [accelerator], BOARD, PRIOR).latency_cycles[0, 0]
        gaps.append(best / least_cycles(layer, mappings, accelerator) - 1)
    assert min(gaps) >= -CLOSE
    assert max(gaps) < 0.05
