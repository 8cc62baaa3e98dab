"""Classes of tiles against the tiles themselves, one by one."""

from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.pricing.priced_cases import PRIOR, PYNQ_Z2
from support.pricing.random_layers import cut, random_case, random_layers

from cost_models.closed_form import slots, tiling
from cost_models.closed_form.records import LayerRecords, engine_records
from cost_models.closed_form.slots import Pixels, Tiling
from cost_models.closed_form.tiling import (
    BODY,
    FIRST,
    LAST,
    MIDDLE,
    PIXELS_OUTER,
    Cols,
    Halo,
    Inputs,
    Outputs,
    Rows,
    Sizes,
    Split,
)
from cost_models.workload import Layer, Operation
from hw_templates.conv_engine.accelerator import Accelerator, AcceleratorColumns

ACCELERATOR = Accelerator(
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
CLASSES = {FIRST: slice(1), MIDDLE: slice(1, -1), BODY: slice(-1), LAST: slice(-1, None)}


Axes = tuple[Outputs, Inputs, Rows, Cols]


@numba.njit
def tiled(layers: Any, runs: Any, engines: Any, sizes: tuple[float, float, float, float]) -> Axes:
    """The axes of the first layer on the first accelerator, in tiles of these sizes: channels, rows and columns."""
    outputs = tiling.outputs_of(layers[0], engines[0], sizes[0])
    inputs = tiling.inputs_of(layers[0], engines[0], sizes[1])
    return (
        outputs,
        inputs,
        tiling.rows_of(layers[0], runs[0], sizes[2]),
        tiling.cols_of(layers[0], engines[0], sizes[3]),
    )


@numba.njit
def pixels_of(layers: Any, engines: Any, axes: Axes, row: int, col: int) -> Pixels:
    outputs, inputs, rows, cols = axes
    tiles = Tiling(layers[0], engines[0], outputs, inputs, rows, cols, PIXELS_OUTER)
    return slots.pixels_of(tiles, row, col)


@numba.njit
def weight_words(layers: Any, engines: Any, outputs: Outputs, inputs: Inputs, m: int, n: int) -> float:
    return slots.weight_words(layers[0], engines[0], outputs, inputs, m, n)


@numba.njit
def halo_of(extents: tuple[float, float], tile: float, kernel: float, stride: float, padding: float) -> Halo:
    return tiling.halo_of(tiling.split(extents[1], tile), extents[0], kernel, stride, padding)


@numba.njit
def split(extent: float, tile: float) -> Split:
    return tiling.split(extent, tile)


def records(layer: Layer, accelerator: Accelerator) -> tuple[Any, Any, Any]:
    layers = LayerRecords.of([layer])
    engines = engine_records(AcceleratorColumns.of([accelerator]), PYNQ_Z2, PRIOR.latency)
    return layers.layers, layers.runs, engines


def tiling_for(layer: Layer, sizes: tuple[int, int, int, int], accelerator: Accelerator = ACCELERATOR) -> Axes:
    out, inputs, height, width = sizes
    return tiled(*records(layer, accelerator), (float(out), float(inputs), float(height), float(width)))


def means(values: list[float], edge: int) -> float | None:
    """Mean over the tiles of a class; all classes are the same tile where there is one, and may be empty for two."""
    members = values if len(values) == 1 else values[CLASSES[edge]]
    return float(np.mean(members)) if members else None


def read_of(outputs: range, extent: int, kernel: int, stride: int, padding: int) -> int:
    """How many positions of an axis lie between the first and the last that these outputs read."""
    first, last = outputs[0] * stride - padding, outputs[-1] * stride - padding + kernel - 1
    return sum(first <= position <= last for position in range(extent))


@given(st.integers(1, 60), st.integers(1, 70))
@settings(max_examples=200, deadline=None)
def test_a_split_is_its_tiles(extent: int, tile: int) -> None:
    sizes = [len(part) for part in cut(extent, tile)]
    assert split(float(extent), float(tile)) == (len(sizes), (sizes[0], sizes[-1]))


@given(st.integers(1, 40), st.sampled_from((1, 3, 5, 7)), st.integers(1, 2), st.integers(0, 3), st.integers(1, 40))
@settings(max_examples=400, deadline=None)
def test_a_halo_is_what_the_tiles_read(extent: int, kernel: int, stride: int, padding: int, tile: int) -> None:
    assume(padding <= kernel // 2 and extent + 2 * padding >= kernel)
    outputs = (extent + 2 * padding - kernel) // stride + 1
    reads = [read_of(part, extent, kernel, stride, padding) for part in cut(outputs, tile)]
    halo = halo_of((float(extent), float(outputs)), float(tile), float(kernel), float(stride), float(padding))
    assert halo.total == sum(reads)
    for edge in CLASSES:
        wanted = means([float(read) for read in reads], edge)
        if wanted is not None:
            assert halo.read[edge] == pytest.approx(wanted)
            assert halo.covering[edge] == pytest.approx(means([float(read == extent) for read in reads], edge))


@given(random_layers(16, 40), st.integers(0, 2**32 - 1))
@settings(max_examples=120, deadline=None)
def test_needs_are_those_of_the_mapping(layer: Layer, seed: int) -> None:
    case = random_case(layer, seed)
    assume(case is not None)
    mapping, accelerator = case
    sizes = (mapping.tile_out_channels, mapping.tile_in_channels, mapping.tile_height, mapping.tile_width)
    outputs, inputs, rows, cols = tiling_for(layer, sizes, accelerator)
    ifmap, weights, ofmap = (need.words for need in mapping.needs(layer, accelerator))
    assert (outputs.lines + inputs.lines) * (
        (rows.sizes.full - 1) * layer.stride + layer.kernel_height
    ) * cols.need == ifmap
    assert np.ceil(outputs.weight_lines * inputs.groups.full * layer.weight_bits / 8) == weights
    need = outputs.whole_need if mapping.loop_order == "inputs_outer" else outputs.need
    assert need * rows.sizes.full * cols.groups.full == ofmap


@given(random_layers(16, 8), st.integers(1, 16), st.integers(1, 16))
@settings(max_examples=150, deadline=None)
def test_classes_of_pixel_tiles_are_means_of_the_tiles(layer: Layer, height: int, width: int) -> None:
    row_tiles, col_tiles = cut(layer.out_height, height), cut(layer.out_width, width)
    in_rows = [read_of(t, layer.in_height, layer.kernel_height, layer.stride, layer.padding) for t in row_tiles]
    in_cols = [read_of(t, layer.in_width, layer.kernel_width, layer.stride, layer.padding) for t in col_tiles]
    taps = layer.kernel_height * layer.kernel_width
    outputs, inputs, rows, cols = tiling_for(layer, (16, 8 if layer.operation == Operation.CONV else 16, height, width))
    layers, _, engines = records(layer, ACCELERATOR)
    assert rows.tiles * cols.tiles == len(row_tiles) * len(col_tiles)
    assert rows.halo.total * cols.halo.total == sum(in_rows) * sum(in_cols)
    groups = [-(-len(tile) // ACCELERATOR.pe_pixels) for tile in col_tiles]
    # What a tile of every row and column would be; a class is the mean over its rows and columns.
    tables = {
        "area": [[float(r * c) for c in in_cols] for r in in_rows],
        "in_bursts": [[1.0 if c == layer.in_width else r for c in in_cols] for r in in_rows],
        "iterations": [[float(taps * len(r) * group) for group in groups] for r in row_tiles],
        "outputs": [[float(len(r) * len(c)) for c in col_tiles] for r in row_tiles],
        "out_bursts": [[1.0 if len(c) == layer.out_width else len(r) for c in col_tiles] for r in row_tiles],
    }
    for row in CLASSES:
        for col in CLASSES:
            tile = pixels_of(layers, engines, (outputs, inputs, rows, cols), row, col)
            for name, table in tables.items():
                across = [means(line, col) for line in table]
                wanted = None if None in across else means([mean for mean in across if mean is not None], row)
                if wanted is not None:
                    assert getattr(tile, name) == pytest.approx(wanted), name
    # Of a part of the channels every pixel is a burst.
    several = (outputs._replace(tiles=2.0), inputs._replace(tiles=2.0), rows, cols)
    part = pixels_of(layers, engines, several, LAST, LAST)
    assert (part.in_bursts, part.out_bursts) == (part.area, part.outputs)


def weights_of(layer: Layer, axes: Axes) -> dict[tuple[int, int], float]:
    layers, _, engines = records(layer, ACCELERATOR)
    return {(m, n): weight_words(layers, engines, *axes[:2], m, n) for m in (BODY, LAST) for n in (BODY, LAST)}


def test_dense_channels_by_hand() -> None:
    # 20 -> 40 channels, 3x3, tiles of 16 and 32: 16 + 4 in, 32 + 8 out. In groups of 8 columns 2 + 1, of 16 rows 2 + 1;
    # in words of 8 channels 2 + 1 and 4 + 1. A group of each is 9 taps of 16 * 8 weights: 144 words.
    layer = Layer(
        operation=Operation.CONV,
        in_channels=20,
        out_channels=40,
        in_height=8,
        in_width=8,
        kernel_height=3,
        kernel_width=3,
        stride=1,
        padding=1,
    )
    tiles = tiling_for(layer, (32, 16, 8, 8))
    outputs, inputs, *_ = tiles
    assert inputs == Inputs(16, 2, groups=Sizes(2, 1), words=Sizes(2, 1), lines=2)
    assert outputs.groups == (2, 1)
    assert outputs.words == (4, 1)
    assert (outputs.need, outputs.whole_need) == (2, 3)
    assert weights_of(layer, tiles) == {(BODY, BODY): 576, (BODY, LAST): 288, (LAST, BODY): 288, (LAST, LAST): 144}


def test_weights_of_four_bits_take_half_the_words_and_the_buffer() -> None:
    layer = Layer(
        operation=Operation.CONV,
        in_channels=20,
        out_channels=40,
        in_height=8,
        in_width=8,
        kernel_height=3,
        kernel_width=3,
        stride=1,
        padding=1,
        weight_bits=4,
    )
    tiles = tiling_for(layer, (16, 8, 8, 8))
    # 3 * 3 tiles of 9 taps: two lines of 16 words share one, so 5 lines each, 80 words.
    assert set(weights_of(layer, tiles).values()) == {80}
    assert tiles[0].weight_lines * tiles[1].groups.full == 9


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        # 36 channels in tiles of 16: two of 2 groups of 8 lanes and one of 1, 25 taps: 50 and 25 words of 8.
        (
            Layer(
                operation=Operation.DEPTHWISE,
                in_channels=36,
                out_channels=36,
                in_height=8,
                in_width=8,
                kernel_height=5,
                kernel_width=5,
                stride=1,
                padding=2,
            ),
            (50, 25),
        ),
        # Of 4 bits: 50 steps of 8 lanes are 4 lines of 16 steps, which lie in 2 of 16 words; 25 are 2, which lie in 1.
        (
            Layer(
                operation=Operation.DEPTHWISE,
                in_channels=36,
                out_channels=36,
                in_height=8,
                in_width=8,
                kernel_height=5,
                kernel_width=5,
                stride=1,
                padding=2,
                weight_bits=4,
            ),
            (32, 16),
        ),
        # A word of the gate for 8 channels.
        (Layer(operation=Operation.SCALE, in_channels=36, out_channels=36, in_height=8, in_width=8), (2, 1)),
        (
            Layer(
                operation=Operation.POOL,
                in_channels=36,
                out_channels=36,
                in_height=8,
                in_width=8,
                kernel_height=8,
                kernel_width=8,
            ),
            (0, 0),
        ),
    ],
)
def test_channelwise_channels_by_hand(layer: Layer, words: tuple[int, int]) -> None:
    tiles = tiling_for(layer, (16, 16, 8, 8))
    assert (tiles[0].tiles, tiles[1].tiles) == (3, 1)
    found = weights_of(layer, tiles)
    assert (found[BODY, LAST], found[LAST, LAST]) == words
    # 4 channels are left for the last tile: half a word.
    assert tiles[0].inputs == (2, 1)
    assert (tiles[1].groups.full, tiles[1].groups.last, tiles[1].words.full) == (1, 1, 0)
