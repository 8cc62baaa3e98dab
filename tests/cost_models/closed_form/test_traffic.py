"""Totals against the tiles one by one."""

from typing import Any

import numba
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.pricing.priced_cases import PRIOR, PYNQ_Z2
from support.pricing.random_layers import random_case, random_layers, walk_steps

from cost_models.closed_form.records import LayerRecords, engine_records
from cost_models.closed_form.slots import Tiling
from cost_models.closed_form.tiling import ORDERS, cols_of, inputs_of, outputs_of, rows_of
from cost_models.closed_form.traffic import Traffic, traffic_of
from cost_models.mapping.mapping import Mapping
from cost_models.workload import Layer, Operation
from hw_templates.conv_engine.accelerator import Accelerator, AcceleratorColumns


@numba.njit
def stated(layers: Any, runs: Any, engines: Any, sizes: Any, order: int) -> Traffic:
    layer, engine = layers[0], engines[0]
    outputs, inputs = outputs_of(layer, engine, sizes[0]), inputs_of(layer, engine, sizes[1])
    rows, cols = rows_of(layer, runs[0], sizes[2]), cols_of(layer, engine, sizes[3])
    tiling = Tiling(layer, engine, outputs, inputs, rows, cols, order)
    return traffic_of(tiling)


def state(layer: Layer, mapping: Mapping, accelerator: Accelerator) -> Traffic:
    records = LayerRecords.of([layer])
    engines = engine_records(AcceleratorColumns.of([accelerator]), PYNQ_Z2, PRIOR.latency)
    sizes = (mapping.tile_out_channels, mapping.tile_in_channels, mapping.tile_height, mapping.tile_width)
    order = ORDERS.index(mapping.loop_order)
    return stated(records.layers, records.runs, engines, tuple(map(float, sizes)), order)


def changes(keys: list[Any]) -> int:
    """How often a buffer that holds the last tile must load."""
    return sum(key != before for key, before in zip(keys, [None, *keys[:-1]], strict=True))


@given(random_layers(14, 70), st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None)
def test_loads_are_those_of_buffers_that_hold_the_last_tile(layer: Layer, seed: int) -> None:
    case = random_case(layer, seed)
    assume(case is not None)
    mapping, accelerator = case
    steps = list(walk_steps(layer, mapping))
    moved = state(layer, mapping, accelerator)
    weightless = layer.operation in (Operation.POOL, Operation.MAX_POOL)
    assert moved.steps == len(steps)
    assert moved.ifmap_loads == changes([(step.rows, step.cols, step.inputs) for step in steps])
    assert moved.weight_loads == (0 if weightless else changes([(step.outputs, step.inputs) for step in steps]))
    if mapping.loop_order == "inputs_outer":
        assert moved.stores == changes([(step.rows, step.cols) for step in steps])
    else:
        assert moved.stores == changes([(step.rows, step.cols, step.outputs) for step in steps])


def test_traffic_by_hand() -> None:
    # 1x1, 16 -> 24 channels, 4x4, with a residual; tiles of 16 channels and of 2 rows, pixels inside: the map of 16
    # pixels * 2 words is loaded for both tiles of output channels, the weights (2 groups of 16 * 16 bytes) once; 16
    # pixels * 3 words of results, as many of the residual. 2 groups of 16 outputs, 2 of 8 inputs, 16 / 2 pixel pairs.
    layer = Layer(operation=Operation.CONV, in_channels=16, out_channels=24, in_height=4, in_width=4, residual=True)
    accelerator = Accelerator(
        pe_rows=16,
        pe_cols=8,
        pe_pixels=2,
        pack=1,
        ifmap_kib=8,
        weight_kib=8,
        ofmap_kib=8,
        axi_bits=64,
        clock_mhz=100,
    )
    moved = state(
        layer,
        Mapping(tile_out_channels=16, tile_in_channels=16, tile_height=2, tile_width=4, loop_order=ORDERS[1]),
        accelerator,
    )
    assert moved.iterations == 2 * 2 * 8
    assert moved.ifmap_words == 2 * 16 * 2
    assert moved.weight_words == 2 * 16 * 16 // 8
    assert moved.ofmap_words == moved.residual_words == 16 * 3
    assert (moved.steps, moved.ifmap_loads, moved.weight_loads, moved.stores) == (4, 4, 2, 4)


@pytest.mark.parametrize("order", ORDERS[:2])
def test_a_single_tile_moves_the_same_in_any_order(order: Any) -> None:
    layer = Layer(operation=Operation.CONV, in_channels=16, out_channels=16, in_height=4, in_width=4)
    accelerator = Accelerator(
        pe_rows=16,
        pe_cols=16,
        pe_pixels=1,
        pack=1,
        ifmap_kib=8,
        weight_kib=8,
        ofmap_kib=8,
        axi_bits=64,
        clock_mhz=100,
    )
    moved = state(
        layer,
        Mapping(tile_out_channels=16, tile_in_channels=16, tile_height=4, tile_width=4, loop_order=order),
        accelerator,
    )
    assert (moved.steps, moved.ifmap_loads, moved.weight_loads, moved.stores) == (1, 1, 1, 1)
