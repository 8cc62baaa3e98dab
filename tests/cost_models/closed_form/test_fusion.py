"""What blocks cost, against plain loops over every way to run them and every mapping."""

import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.pricing.exhaustive_search import Case, least_of_all
from support.pricing.priced_cases import price_each

from cost_models.closed_form.fusion import BlockIndex, best_placements, fallbacks
from cost_models.closed_form.layer_table import price_layers
from cost_models.coefficients import load_coefficients
from cost_models.mapping.block import Block, Option, partitions_of
from cost_models.mapping.mapped_layer import MappedLayer
from cost_models.mapping.mapping import draw_mapping
from cost_models.mapping.placement import Placement
from cost_models.simulator import simulate
from cost_models.workload import IMAGE, Layer, Node, Operation, Workload
from hw_templates.board import load_board
from hw_templates.conv_engine.accelerator import Accelerator, AcceleratorColumns
from hw_templates.foundation.errors import MappingError

BOARD = load_board("zcu104")
PRIOR = load_coefficients()
ACCELERATORS = [
    Accelerator(
        pe_rows=8,
        pe_cols=8,
        pe_pixels=2,
        pack=2,
        ifmap_kib=4,
        weight_kib=8,
        ofmap_kib=4,
        axi_bits=64,
        clock_mhz=200,
        map_kib=8,
    ),
    Accelerator(
        pe_rows=16,
        pe_cols=8,
        pe_pixels=1,
        pack=1,
        ifmap_kib=4,
        weight_kib=4,
        ofmap_kib=4,
        axi_bits=64,
        clock_mhz=200,
        map_kib=2,
        weight_port_words=2,
    ),
    Accelerator(
        pe_rows=8,
        pe_cols=16,
        pe_pixels=3,
        pack=2,
        ifmap_kib=8,
        weight_kib=8,
        ofmap_kib=4,
        axi_bits=64,
        clock_mhz=200,
        map_kib=64,
    ),
    Accelerator(
        pe_rows=8,
        pe_cols=8,
        pe_pixels=2,
        pack=2,
        ifmap_kib=4,
        weight_kib=8,
        ofmap_kib=4,
        axi_bits=64,
        clock_mhz=200,
        map_kib=0,
    ),
]


def block_of(size: int, kernel: int, stride: int, channels: tuple[int, int, int], rest: int) -> Block:
    """A small block; ``rest`` says whether it expands, squeezes and has a residual."""
    inputs, expanded, outputs = channels
    expands, squeezes, adds = (bool(rest >> bit & 1) for bit in range(3))
    dense = Layer(operation=Operation.CONV, in_channels=inputs, out_channels=expanded, in_height=size, in_width=size)
    expand = (dense,) if expands else ()
    depthwise = Layer(
        operation=Operation.DEPTHWISE,
        in_channels=expanded,
        out_channels=expanded,
        in_height=size,
        in_width=size,
        kernel_height=kernel,
        kernel_width=kernel,
        stride=stride,
        padding=kernel // 2,
    )
    small = depthwise.out_height
    squeeze = (
        Layer(
            operation=Operation.POOL,
            in_channels=expanded,
            out_channels=expanded,
            in_height=small,
            in_width=small,
            kernel_height=small,
            kernel_width=small,
        ),
        Layer(operation=Operation.CONV, in_channels=expanded, out_channels=8, in_height=1, in_width=1),
        Layer(operation=Operation.CONV, in_channels=8, out_channels=expanded, in_height=1, in_width=1),
        Layer(operation=Operation.SCALE, in_channels=expanded, out_channels=expanded, in_height=small, in_width=small),
    )
    project = Layer(
        operation=Operation.CONV,
        in_channels=expanded,
        out_channels=outputs,
        in_height=small,
        in_width=small,
        residual=adds,
    )
    return (*expand, depthwise, *(squeeze if squeezes else ()), project)


BLOCKS = st.builds(
    block_of,
    st.integers(2, 9),
    st.sampled_from((3, 5, 7)),
    st.sampled_from((1, 2)),
    st.tuples(st.integers(1, 20), st.integers(1, 40), st.integers(1, 20)),
    st.integers(0, 7),
)


def fits(layer: Layer, placement: Placement, accelerator: Accelerator) -> bool:
    try:
        placement.check(layer, accelerator)
    except MappingError:
        return False
    return True


def ways(block: Block) -> Iterator[Option]:
    """Every way to run a block, written out."""
    for partition in partitions_of(block):
        for options in itertools.product(*(options for _, options in partition)):
            yield tuple(placement for option in options for placement in option)


@given(BLOCKS, st.integers(0, len(ACCELERATORS) - 1))
@settings(max_examples=12, deadline=None)
def test_a_block_costs_what_the_best_of_all_ways_costs(block: Block, number: int) -> None:
    accelerator = ACCELERATORS[number]
    runs = {run for way in ways(block) for run in zip(block, way, strict=True) if fits(*run, accelerator)}
    cycles = {run: least_of_all(Case(*run, accelerator, BOARD, PRIOR))[0] for run in runs}
    best = min(sum(cycles.get(run, np.inf) for run in zip(block, way, strict=True)) for way in ways(block))
    index = BlockIndex([block])
    table = index.price(AcceleratorColumns.of([accelerator]), BOARD, PRIOR)
    assert table.latency_cycles[0, 0] == pytest.approx(best, rel=1e-5)
    chosen = index.option(table, 0, 0)
    alone = price_layers(block, [accelerator], BOARD, PRIOR, placements=chosen)
    assert alone.latency_cycles.sum() == pytest.approx(table.latency_cycles[0, 0], rel=1e-12)
    assert alone.energy_mj.sum() == pytest.approx(table.energy_mj[0, 0], rel=1e-12)


@given(BLOCKS, st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_the_simulator_counts_the_same_band_by_band(block: Block, seed: int) -> None:
    rng = np.random.default_rng(seed)
    accelerator = ACCELERATORS[int(rng.integers(len(ACCELERATORS)))]
    partition = partitions_of(block)[int(rng.integers(len(partitions_of(block))))]
    chosen = [placement for _, options in partition for placement in options[int(rng.integers(len(options)))]]
    for layer, placement in zip(block, chosen, strict=True):
        if fits(layer, placement, accelerator):
            mapping = draw_mapping(layer, accelerator, rng)
            assert mapping is not None
            simulated = simulate(MappedLayer(layer, mapping, placement), accelerator, BOARD, PRIOR)
            cases = price_each(layer, [mapping], accelerator, BOARD, PRIOR, placement)
            assert (cases.iterations[0], cases.residual_words[0]) == (
                simulated.compute_iterations,
                simulated.residual_words,
            )
            assert cases.ifmap_words[0] == simulated.ifmap_words
            assert cases.weight_words[0] == simulated.weight_words
            assert cases.ofmap_words[0] == simulated.ofmap_words
            assert cases.latency_cycles[0] == pytest.approx(simulated.latency_cycles, rel=0.1, abs=100)


def test_company_changes_nothing() -> None:
    blocks = [block_of(8, 3, 1, (8, 24, 8), rest) for rest in range(8)] + [block_of(9, 5, 2, (8, 40, 16), 3)]
    together = BlockIndex(blocks).price(AcceleratorColumns.of(ACCELERATORS), BOARD, PRIOR)
    wanted = np.random.default_rng(0).random((len(blocks), len(ACCELERATORS))) < 0.5
    some = BlockIndex(blocks).price(AcceleratorColumns.of(ACCELERATORS), BOARD, PRIOR, wanted)
    assert np.array_equal(some.latency_cycles[wanted], together.latency_cycles[wanted])
    for row, block in enumerate(blocks):
        alone = BlockIndex([block]).price(AcceleratorColumns.of(ACCELERATORS), BOARD, PRIOR)
        assert np.array_equal(alone.latency_cycles[0], together.latency_cycles[row])
        assert np.array_equal(alone.energy_mj[0], together.energy_mj[row])


def test_without_map_memory_a_block_is_the_sum_of_its_layers() -> None:
    block = block_of(10, 5, 1, (16, 48, 16), 7)
    table = BlockIndex([block]).price(AcceleratorColumns.of([ACCELERATORS[3]]), BOARD, PRIOR)
    layers = price_layers(block, [ACCELERATORS[3]], BOARD, PRIOR)
    assert table.latency_cycles[0, 0] == pytest.approx(layers.latency_cycles.sum(), rel=1e-12)


def test_more_map_memory_is_never_slower_and_keeps_more() -> None:
    block = block_of(28, 3, 1, (8, 48, 8), 1)
    sizes = [
        Accelerator(
            pe_rows=24,
            pe_cols=24,
            pe_pixels=4,
            pack=2,
            ifmap_kib=32,
            weight_kib=8,
            ofmap_kib=24,
            axi_bits=64,
            clock_mhz=200,
            map_kib=kib,
        )
        for kib in (0, 2, 4, 8, 16, 64)
    ]
    table = BlockIndex([block]).price(AcceleratorColumns.of(sizes), BOARD, PRIOR)
    cycles = table.latency_cycles[0]
    # From the second on, results are post-processed at the rate of the array in all.
    assert (np.diff(cycles[1:]) <= 1e-9).all()
    assert cycles[-1] < 0.8 * cycles[0]


def test_blocks_that_run_layer_by_layer_are_named_with_the_reason() -> None:
    nodes = (
        Node(
            name="expand",
            layer=Layer(operation=Operation.CONV, in_channels=8, out_channels=48, in_height=28, in_width=28),
            ifmap=IMAGE,
        ),
        Node(
            name="depthwise",
            layer=Layer(
                operation=Operation.DEPTHWISE,
                in_channels=48,
                out_channels=48,
                in_height=28,
                in_width=28,
                kernel_height=3,
                kernel_width=3,
                stride=1,
                padding=1,
            ),
            ifmap="expand",
        ),
        Node(
            name="project",
            layer=Layer(operation=Operation.CONV, in_channels=48, out_channels=8, in_height=28, in_width=28),
            ifmap="depthwise",
        ),
    )
    workload = Workload(nodes)
    accelerator = Accelerator(
        pe_rows=24,
        pe_cols=8,
        pe_pixels=4,
        pack=2,
        ifmap_kib=32,
        weight_kib=8,
        ofmap_kib=24,
        axi_bits=64,
        clock_mhz=200,
        map_kib=1,
    )
    alone = best_placements(workload, accelerator, BOARD, PRIOR)
    # One row of 28 pixels of 48 channels is 1,344 bytes.
    assert fallbacks(workload, alone, accelerator) == ["expand to project run layer by layer: map_kib is 1, 2 would do"]
    wide = replace(accelerator, map_kib=64)
    assert fallbacks(workload, best_placements(workload, wide, BOARD, PRIOR), wide) == []
    assert fallbacks(workload, alone, wide) == [
        "expand to project run layer by layer: no way to keep its maps on chip is faster"
    ]
