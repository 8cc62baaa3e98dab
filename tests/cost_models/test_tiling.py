"""Classes of tiles against the tiles themselves, one by one."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_layers import cut, random_case, random_layers

from cost_models.layer_columns import LayerColumns
from cost_models.tiling import BODY, FIRST, LAST, MIDDLE, ChannelTiling, Engine, Halo, PixelTiling, Split
from cost_models.workload import Layer, Operation
from hw_templates.accelerator import Accelerator, AcceleratorColumns

ACCELERATOR = Accelerator(16, 8, 2, 1, 8, 8, 8, 64, 100, 8)
CLASSES = {FIRST: slice(1), MIDDLE: slice(1, -1), BODY: slice(-1), LAST: slice(-1, None)}


def one(value: int) -> np.ndarray:
    return np.array([float(value)])


def means(values: list[float], edge: int) -> float | None:
    """Mean over the tiles of a class; all classes are the same tile where there is one, and may be empty for two."""
    members = values if len(values) == 1 else values[CLASSES[edge]]
    return float(np.mean(members)) if members else None


def read_of(outputs: range, extent: int, kernel: int, stride: int, padding: int) -> int:
    """How many positions of an axis lie between the first and the last that these outputs read."""
    first, last = outputs[0] * stride - padding, outputs[-1] * stride - padding + kernel - 1
    return sum(first <= position <= last for position in range(extent))


@given(st.integers(1, 60), st.integers(1, 70), st.integers(1, 9))
@settings(max_examples=200)
def test_a_split_is_its_tiles(extent: int, tile: int, unit: int) -> None:
    sizes = [len(part) for part in cut(extent, tile)]
    split = Split.of(one(extent), one(tile))
    assert (split.count[0], split.full[0], split.last[0], split.total[0]) == (len(sizes), sizes[0], sizes[-1], extent)
    assert (split.at(BODY)[0], split.at(LAST)[0]) == (sizes[0], sizes[-1])
    groups = split.groups(one(unit))
    assert groups.total[0] == sum(-(-size // unit) for size in sizes)


@given(st.integers(1, 40), st.sampled_from((1, 3, 5, 7)), st.integers(1, 2), st.integers(0, 3), st.integers(1, 40))
@settings(max_examples=400)
def test_a_halo_is_what_the_tiles_read(extent: int, kernel: int, stride: int, padding: int, tile: int) -> None:
    assume(padding <= kernel // 2 and extent + 2 * padding >= kernel)
    outputs = (extent + 2 * padding - kernel) // stride + 1
    reads = [read_of(part, extent, kernel, stride, padding) for part in cut(outputs, tile)]
    split = Split.of(one(outputs), one(tile))
    halo = Halo.of(split, one(extent), one(kernel), one(stride), one(padding))
    assert halo.total[0] == sum(reads)
    for edge in CLASSES:
        wanted = means(reads, edge)
        if wanted is not None:
            assert halo.extent[edge][0] == pytest.approx(wanted)
            assert halo.covering[edge][0] == pytest.approx(means([read == extent for read in reads], edge))


@given(random_layers(16, 40), st.integers(0, 2**32 - 1))
@settings(max_examples=120, deadline=None)
def test_needs_are_those_of_the_mapping(layer: Layer, seed: int) -> None:
    case = random_case(layer, seed)
    assume(case is not None)
    mapping, accelerator = case
    shapes = LayerColumns.of([layer]).astype(np.float64)
    engine = Engine.of(AcceleratorColumns.of([accelerator]), np.float64)
    channels = ChannelTiling.of(shapes, engine, one(mapping.tile_out_channels), one(mapping.tile_in_channels))
    pixels = PixelTiling.of(shapes, engine, one(mapping.tile_height), one(mapping.tile_width))
    inputs, weights, outputs = channels.needs
    positions, groups = pixels.needs
    words = [need.words for need in mapping.needs(layer, accelerator)]
    assert [inputs[0] * positions[0], weights[0], outputs[0] * groups[0]] == words


@given(random_layers(16, 8), st.integers(1, 16), st.integers(1, 16))
@settings(max_examples=150, deadline=None)
def test_classes_of_pixel_tiles_are_means_of_the_tiles(layer: Layer, height: int, width: int) -> None:
    row_tiles, col_tiles = cut(layer.out_height, height), cut(layer.out_width, width)
    in_rows = [read_of(t, layer.in_height, layer.kernel_height, layer.stride, layer.padding) for t in row_tiles]
    in_cols = [read_of(t, layer.in_width, layer.kernel_width, layer.stride, layer.padding) for t in col_tiles]
    engine = Engine.of(AcceleratorColumns.of([ACCELERATOR]), np.float64)
    tiling = PixelTiling.of(LayerColumns.of([layer]).astype(np.float64), engine, one(height), one(width))
    taps, candidates = layer.kernel_height * layer.kernel_width, np.array([0])
    assert tiling.count[0] == len(row_tiles) * len(col_tiles)
    assert tiling.area[0] == sum(in_rows) * sum(in_cols)
    assert tiling.all_outputs[0] == layer.out_height * layer.out_width
    groups = [-(-len(tile) // ACCELERATOR.pe_pixels) for tile in col_tiles]
    assert tiling.all_trips[0] == taps * layer.out_height * sum(groups)
    # What a tile of every row and column would be; a class is the mean over its rows and columns.
    tables = {
        "area": [[r * c for c in in_cols] for r in in_rows],
        "in_bursts": [[1 if c == layer.in_width else r for c in in_cols] for r in in_rows],
        "trips": [[taps * len(r) * group for group in groups] for r in row_tiles],
        "outputs": [[len(r) * len(c) for c in col_tiles] for r in row_tiles],
        "out_bursts": [[1 if len(c) == layer.out_width else len(r) for c in col_tiles] for r in row_tiles],
    }
    for row in CLASSES:
        for col in CLASSES:
            tile = tiling.tile(row, col, True, True, candidates)
            for name, table in tables.items():
                across = [means(line, col) for line in table]
                wanted = None if None in across else means(across, row)
                if wanted is not None:
                    assert getattr(tile, name)[0] == pytest.approx(wanted), name
    # Of a part of the channels every pixel is a burst.
    part = tiling.tile(LAST, LAST, False, False, candidates)
    assert (part.in_bursts[0], part.out_bursts[0]) == (part.area[0], part.outputs[0])


def test_dense_channels_by_hand() -> None:
    # 20 -> 40 channels, 3x3, tiles of 16 and 32: 16 + 4 in, 32 + 8 out. In groups of 8 columns 2 + 1, of 16 rows 2 + 1;
    # in words of 8 channels 2 + 1 and 4 + 1. A group of each is 9 taps of 16 * 8 weights: 144 words.
    engine = Engine.of(AcceleratorColumns.of([ACCELERATOR]), np.float64)
    layers = LayerColumns.of([Layer(Operation.CONV, 20, 40, 8, 8, 3, 3, 1, 1)]).astype(np.float64)
    channels = ChannelTiling.of(layers, engine, one(32), one(16))
    assert [channels.inputs.at(edge)[0] for edge in (BODY, LAST)] == [2, 1]
    assert [channels.outputs.at(edge)[0] for edge in (BODY, LAST)] == [2, 1]
    assert [channels.in_words.at(edge)[0] for edge in (BODY, LAST)] == [2, 1]
    assert [channels.out_words.at(edge)[0] for edge in (BODY, LAST)] == [4, 1]
    words = {classes: float(words[0]) for classes, words in channels.weight_words.items()}
    assert words == {(BODY, BODY): 576, (BODY, LAST): 288, (LAST, BODY): 288, (LAST, LAST): 144}
    assert channels.all_weight_words[0] == 9 * 144


def test_weights_of_four_bits_take_half_the_words_and_the_buffer() -> None:
    engine = Engine.of(AcceleratorColumns.of([ACCELERATOR]), np.float64)
    layers = LayerColumns.of([Layer(Operation.CONV, 20, 40, 8, 8, 3, 3, 1, 1, weight_bits=4)]).astype(np.float64)
    channels = ChannelTiling.of(layers, engine, one(16), one(8))
    # 3 * 3 tiles of 9 taps: 72 words each, and 4.5 lines of the buffer.
    assert channels.all_weight_words[0] == 9 * 72
    assert channels.needs[1][0] == 5


@pytest.mark.parametrize(
    ("layer", "weight_words"),
    [
        # 36 channels in tiles of 16: two of 2 groups of 8 lanes and one of 1, 25 taps: 50 and 25 words of 8.
        (Layer(Operation.DEPTHWISE, 36, 36, 8, 8, 5, 5, 1, 2), (50, 25)),
        # Of 4 bits: each tile begins with a word of its own.
        (Layer(Operation.DEPTHWISE, 36, 36, 8, 8, 5, 5, 1, 2, weight_bits=4), (25, 13)),
        # A word of the gate for 8 channels.
        (Layer(Operation.SCALE, 36, 36, 8, 8), (2, 1)),
        (Layer(Operation.POOL, 36, 36, 8, 8, 8, 8), (0, 0)),
    ],
)
def test_channelwise_channels_by_hand(layer: Layer, weight_words: tuple[int, int]) -> None:
    engine = Engine.of(AcceleratorColumns.of([ACCELERATOR]), np.float64)
    channels = ChannelTiling.of(LayerColumns.of([layer]).astype(np.float64), engine, one(16), one(16))
    assert (channels.outputs.count[0], channels.inputs.count[0], channels.inputs.total[0]) == (3, 1, 1)
    assert (channels.weight_words[BODY, LAST][0], channels.weight_words[LAST, LAST][0]) == weight_words
    assert channels.all_weight_words[0] == 2 * weight_words[0] + weight_words[1]
    # 4 channels are left for the last tile: half a word.
    assert [channels.in_words.at(edge)[0] for edge in (BODY, LAST)] == [2, 1]


def test_an_engine_is_columns_of_the_parameters() -> None:
    other = Accelerator(8, 8, 3, 2, 8, 8, 8, 32, 150, 4)
    engine = Engine.of(AcceleratorColumns.of([ACCELERATOR, other]), np.float32)
    assert engine.rows.dtype == engine.word.dtype == np.float32
    values = (engine.rows, engine.cols, engine.pixels, engine.lanes, engine.word, engine.clock_mhz)
    assert [value.tolist() for value in values] == [[16, 8], [8, 8], [2, 3], [8, 4], [8, 4], [100, 150]]
    assert engine.column().word.shape == (2, 1, 1)
