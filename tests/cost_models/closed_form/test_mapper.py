"""The mapper's choice against plain loops over all mappings."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.pricing.every_mapping import enumerate_mappings
from support.pricing.exhaustive_search import Case, draw_case, least_of_all
from support.pricing.priced_cases import PRIOR, price_each
from support.pricing.random_layers import random_layers

from cost_models.closed_form.layer_table import price_layers
from cost_models.mapping.mapping import Mapping
from cost_models.mapping.placement import IN_MEMORY
from cost_models.workload import Layer, Operation
from hw_templates.board import load_board
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.space import AcceleratorSpace

BOARD = load_board("pynq-z2")
CLOSE = 1e-9


def least_cycles(layer: Layer, mappings: list[Mapping], accelerator: Accelerator) -> float:
    """The least latency of the mappings, each priced as a case of its own."""
    return float(price_each(layer, mappings, accelerator).latency_cycles.min())


def random_accelerator(seed: int) -> Accelerator:
    return AcceleratorSpace(BOARD).sample(np.random.default_rng(seed), 1)[0]


def test_best_of_random_cases_is_the_exhaustive_best() -> None:
    # On all boards, with every parameter of their spaces; odd sizes and primes are as likely as any.
    rng, mapped, legal = np.random.default_rng(0), 0, 0
    for _ in range(5_000):
        case = draw_case(rng, 23, 64)
        least, count = least_of_all(case)
        table = price_layers(
            [case.layer], [case.accelerator], case.board, case.coefficients, placements=[case.placement]
        )
        assert table.latency_cycles[0, 0] == pytest.approx(least, rel=CLOSE), case
        if count:
            table.mapping(0, 0).check(case.layer, case.accelerator)
        mapped, legal = mapped + (count > 0), legal + count
    assert mapped > 4_000
    assert legal > 100 * mapped


@pytest.mark.parametrize(
    ("layer", "accelerator", "at_most"),
    [
        # A tile of 3 x 7 takes that; rows of 8 pixels do not fit.
        (
            Layer(
                operation=Operation.MAX_POOL,
                in_channels=64,
                out_channels=64,
                in_height=112,
                in_width=112,
                kernel_height=3,
                kernel_width=3,
                stride=2,
                padding=1,
            ),
            Accelerator(
                pe_rows=16,
                pe_cols=32,
                pe_pixels=8,
                pack=2,
                ifmap_kib=4,
                weight_kib=64,
                ofmap_kib=16,
                axi_bits=64,
                clock_mhz=150,
                map_kib=0,
                weight_port_words=1,
                ifmap_buffers=2,
                weight_buffers=2,
                ofmap_buffers=2,
            ),
            262_740,
        ),
        # No row of 7 pixels fits, narrower ones do.
        (
            Layer(
                operation=Operation.CONV,
                in_channels=7,
                out_channels=3,
                in_height=13,
                in_width=17,
                kernel_height=3,
                kernel_width=3,
                stride=1,
                padding=1,
            ),
            Accelerator(
                pe_rows=32,
                pe_cols=64,
                pe_pixels=7,
                pack=1,
                ifmap_kib=2,
                weight_kib=128,
                ofmap_kib=2,
                axi_bits=32,
                clock_mhz=125,
                map_kib=32,
                weight_port_words=1,
                ifmap_buffers=1,
                weight_buffers=1,
                ofmap_buffers=1,
            ),
            np.inf,
        ),
    ],
)
def test_tiles_narrower_than_the_pixels_computed_at_a_time(
    layer: Layer, accelerator: Accelerator, at_most: float
) -> None:
    case = Case(layer, IN_MEMORY, accelerator, BOARD, PRIOR)
    table = price_layers([layer], [accelerator], BOARD, PRIOR)
    assert table.mapping(0, 0).tile_width < accelerator.pe_pixels
    assert table.latency_cycles[0, 0] == pytest.approx(least_of_all(case)[0], rel=CLOSE)
    assert table.latency_cycles[0, 0] < at_most


@given(random_layers(11, 70), st.integers(0, 2**32 - 1))
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
