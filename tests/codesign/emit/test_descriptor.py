"""Descriptors beside plain geometry: every field that the engine reads, by a walk over all tiles."""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st
from support.verilog.descriptor_walk import (
    TABLE_BYTES,
    UNIT_BYTES,
    DescriptorWalk,
    Memory,
    Numbers,
    WalkError,
    table_number,
)
from support.verilog.plain_layers import plain_sums
from support.verilog.random_engine_layers import random_data, random_layer, random_tiled_layer, randomly_tiled
from support.verilog.simulated import RTL

from codesign.emit.descriptor import describe, pack_weights
from codesign.emit.engine_reference import EngineData, EngineNode, border_classes
from codesign.emit.limits import check_fields_fit
from codesign.emit.program import pack_parameters
from cost_models.engine.bands import band_of, rows_read
from cost_models.engine.counts import count_step
from cost_models.engine.layer import EngineLayer
from cost_models.engine.places import MapPlace, Places, ProgramStep, Ring
from cost_models.engine.tiles import TiledLayer
from cost_models.mapping.mapping import LoopOrder, Mapping
from hw_templates.conv_engine import isa
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.engine_shape import SUPERNETS, EngineShape, Limits
from hw_templates.foundation.errors import InvalidValueError
from hw_templates.operations import Operation

BASE = {
    "pe_rows": 8, "pe_cols": 8, "pe_pixels": 4, "pack": 2, "ifmap_kib": 16, "weight_kib": 16, "ofmap_kib": 16,
    "axi_bits": 64, "clock_mhz": 100,
}  # fmt: skip
SMALL = {"pe_rows": 4, "pe_cols": 4, "axi_bits": 32, "ifmap_kib": 2}


def shape_of(limits: Limits = SUPERNETS, **changes: int) -> EngineShape:
    """An engine that differs from the base in these parameters."""
    return EngineShape(accelerator=Accelerator(**(BASE | changes)), limits=limits)


SHAPES = {
    "double buffers": shape_of(),
    "single buffers, 3 pixels": shape_of(ifmap_buffers=1, weight_buffers=1, ofmap_buffers=1, pe_pixels=3),
    "7 pixels, kernels to 11": shape_of(
        Limits(max_kernel=11, max_stride=4, max_dilation=3, zero_point=True), pe_pixels=7, ifmap_kib=32
    ),
    "lines of 3 words": shape_of(Limits(max_stride=4), pe_pixels=1, axi_bits=32, pe_rows=4, pe_cols=12),
    "weight port of two words": shape_of(Limits(zero_point=True), weight_port_words=2, pe_rows=16, ofmap_buffers=1),
    "12 rows, 6 pixels": shape_of(
        Limits(max_stride=3, max_dilation=4, max_kernel=5),
        pe_rows=12,
        axi_bits=32,
        pe_pixels=6,
        weight_buffers=1,
    ),
    "maps on chip, more rows": shape_of(pe_rows=16, pe_pixels=2, map_kib=8, ofmap_buffers=1),
    "maps on chip, 3 banks": shape_of(Limits(max_dilation=2), pe_cols=12, axi_bits=32, pe_pixels=2, map_kib=8),
    "maps on chip, single ifmap": shape_of(Limits(max_stride=3), **SMALL, pe_pixels=3, map_kib=16, ifmap_buffers=1),
}
LAYERS = 25
MUTATED_LAYERS = 60
NOT_READ = {
    "what the host knows a layer by": {"in_channels", "out_channels", "tile_out_channels", "tile_in_channels"},
    "its steps between pixels are fields of their own": {"in_words", "out_words", "res_words"},
    "clipped at the map's end": {"pad_bottom", "pad_right"},
}
"""Fields that the Verilog does not read, so that no change of them can be noticed, by reason."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """A descriptor, the memory that it finds, and what the engine must do with both."""

    tiled: TiledLayer
    record: np.void
    memory: Memory
    check: Callable[[DescriptorWalk], None]

    def run(self, record: np.void | None = None) -> DescriptorWalk:
        """Walk over all tiles.

        Raises:
            WalkError: the engine would not come to the end.
            AssertionError: it does what it must not, or does not what it must.
        """
        numbers = self.memory.numbers.copy()
        memory = Memory(numbers, self.memory.arena_words, self.tiled.shape.accelerator.axi_bytes)
        walk = DescriptorWalk(self.record if record is None else record, self.tiled.shape, memory)
        walk.run()
        self.check(walk)
        return walk


class _Arena:
    """Places one behind the other, and the numbers in them."""

    def __init__(self, rng: np.random.Generator, shape: EngineShape) -> None:
        self.rng, self.shape, self.numbers = rng, shape, np.zeros((3, 0), np.uint64)

    def place(self, count: int) -> int:
        """Return the first byte of room for so many bytes with random numbers, some bytes behind the last place."""
        unit = self.shape.accelerator.weight_port_bytes
        gap = unit * int(self.rng.integers(0, 3))
        begin = self.numbers.shape[1] + gap
        size = begin + -(-count // unit) * unit - self.numbers.shape[1]
        more = self.rng.integers(0, 1 << 63, (3, size), dtype=np.uint64)
        self.numbers = np.concatenate([self.numbers, more], axis=1)
        return begin

    def map_spot(self, channels: int, height: int, width: int) -> "Spot":
        """Return the place of a map in memory, which may be part of a wider one."""
        word = self.shape.accelerator.axi_bytes
        words = math.ceil(channels / word) + int(self.rng.integers(0, 2))
        place = self.place(height * width * words * word) // word
        return Spot(begin=place, pixel=words, width=width, banks=1)

    def ring_spot(self, size: tuple[int, int, int], rows: int, half: int) -> "Spot | None":
        """Return the place of a map of which at least ``rows`` rows stay in a half; None where there is no room."""
        a, (channels, height, width) = self.shape.accelerator, size
        lines = math.ceil(math.ceil(channels / a.axi_bytes) / a.map_banks)
        most = min(height, a.map_depth // (width * lines))
        if most < rows:
            return None
        ring = int(self.rng.integers(rows, most + 1))
        return Spot(begin=half * a.map_depth, pixel=lines, width=width, banks=a.map_banks, ring=ring)


@dataclass(frozen=True, kw_only=True)
class Spot:
    """A map in memory, or a ring of its rows on chip.

    Attributes:
        begin: first word, or line of the map memory.
        pixel: words, or lines, from pixel to pixel.
        width: columns.
        banks: words of a line.
        ring: rows that stay; 0 in memory.
    """

    begin: int
    pixel: int
    width: int
    banks: int
    ring: int = 0

    def place(self, row: int) -> MapPlace:
        """Where a row of the map is, as a program says it."""
        if not self.ring:
            return MapPlace(word=self.begin + row * self.width * self.pixel, pixel_words=self.pixel)
        lines = self.width * self.pixel
        return MapPlace(
            word=self.begin + row % self.ring * lines,
            pixel_words=self.pixel,
            ring=Ring(lines=self.ring * lines, end=self.begin + self.ring * lines),
        )

    def words(self, rows: np.ndarray, cols: np.ndarray, words: np.ndarray, arena_words: int) -> np.ndarray:
        """Where channel words of pixels lie, [rows, columns, words]; words of the map memory follow the arena's."""
        in_ring = rows % self.ring if self.ring else rows
        pixel = (self.begin + (in_ring[:, None] * self.width + cols) * self.pixel)[..., None]
        if not self.ring:
            return pixel + words
        return arena_words + (pixel + words // self.banks) * self.banks + words % self.banks


def make_case(rng: np.random.Generator, whole: TiledLayer) -> Case:
    """Return a layer in its tiles, or a band of it, with places of its own."""
    layer, shape = whole.layer, whole.shape
    word, arena = shape.accelerator.axi_bytes, _Arena(rng, shape)
    halves = 2 if layer.repeat else 1
    edges = random_data(rng, layer).edges
    rows = (0, layer.out_height)
    if shape.accelerator.map_kib and not layer.repeat:
        first = int(rng.integers(0, layer.out_height))
        band = (first, int(rng.integers(first + 1, layer.out_height + 1)))
        read = rows_read(layer, band)
        if rng.random() < 0.7 and read[0] < read[1]:
            rows, edges = band, (0, 0, 0, 0)
    tiled = band_of(whole, rows)
    sizes = (layer.in_channels, layer.in_height // halves, layer.in_width // halves)
    results = (layer.out_channels, layer.out_height, layer.out_width)
    ifmap, ofmap, half = arena.map_spot(*sizes), arena.map_spot(*results), int(rng.integers(0, 2))
    if shape.accelerator.map_kib and not layer.repeat and rng.random() < 0.7:
        ifmap = arena.ring_spot(sizes, tiled.layer.in_height, half) or ifmap
    if shape.accelerator.map_kib and not layer.residual and rng.random() < 0.7:
        ofmap = arena.ring_spot(results, tiled.layer.out_height, 1 - half) or ofmap
    residual = arena.map_spot(*results) if layer.residual else None
    weight_byte, weight_bytes, weights = _place_weights(arena, whole)
    parameter_byte, parameter_bytes, parameters, edge_field = _place_parameters(arena, whole, edges)
    table_byte, counter_byte = arena.place(TABLE_BYTES), arena.place(32)
    multiplier = int(rng.integers(1, 1 << 23)) if layer.residual else 0
    places = Places(
        ifmap=ifmap.place(rows_read(layer, rows)[0]),
        ofmap=ofmap.place(rows[0]),
        residual=None if residual is None else residual.place(rows[0]),
        weight_word=weight_byte // word,
        parameter_word=parameter_byte // word,
        table_word=table_byte // word,
        counter_word=counter_byte // word,
    )
    step = ProgramStep(tiled=tiled, places=places, descriptor_word=0, edges=edge_field)
    record = describe(step, multiplier)
    check_fields_fit("layer", record, shape)
    arena_words = arena.numbers.shape[1] // word
    # The map memory, and a word for what is not there.
    more = 2 * shape.accelerator.map_depth * shape.accelerator.map_banks + 1
    more_numbers = rng.integers(0, 1 << 63, (3, more * word), dtype=np.uint64)
    arena.numbers = np.concatenate([arena.numbers, more_numbers], axis=1)

    def map_numbers(spot: Spot, size: tuple[int, int, int]) -> Numbers:
        rows, cols, words = (np.arange(count) for count in (size[1], size[2], math.ceil(size[0] / word)))
        at = spot.words(rows, cols, words, arena_words)
        return arena.numbers[0].reshape(-1, word)[at].reshape(*size[1:], -1)[..., : size[0]].transpose(2, 0, 1)

    expected = plain_sums(layer, map_numbers(ifmap, sizes), weights) + parameters
    if residual is not None:
        added = map_numbers(residual, results)
        expected = expected + added * np.uint64(multiplier * (3 if layer.residual == 1 else 5))
    expected = expected + table_number(arena.numbers[0, table_byte : table_byte + TABLE_BYTES])
    port = shape.accelerator.weight_port_bytes

    def check(walk: DescriptorWalk) -> None:
        before = [_beats(parameter_byte, parameter_bytes, port), _beats(table_byte, TABLE_BYTES, port)]
        assert [list(each) for each in walk.beats_before] == before
        assert list(walk.counter_words) == [counter_byte // word + index for index in range(32 // word)]
        tiles = list(plain_tiles(tiled))
        assert len(walk.fetched) == len(tiles)
        weights_fetched: set[int] = set()
        for tile, (ifmap_words, weight_beats) in zip(tiles, walk.fetched, strict=True):
            if ifmap_words is not None:
                positions = plain_positions(whole, tiled, rows, tile)
                assert np.array_equal(np.sort(ifmap_words), np.sort(ifmap.words(*positions, arena_words).reshape(-1)))
            weights_fetched |= set() if weight_beats is None else set(weight_beats)
        assert sorted(weights_fetched) == _beats(weight_byte, weight_bytes, port)
        check_results(walk, ofmap, expected, rows)
        trips = count_step(step).trips
        if ifmap.ring:
            assert walk.loaded_lines == trips.ifmap_words
        if ofmap.ring:
            assert walk.stored_lines == trips.ofmap_words

    memory = Memory(arena.numbers, arena_words, word)
    return Case(tiled=tiled, record=record, memory=memory, check=check)


def _beats(begin: int, count: int, port: int) -> list[int]:
    return list(range(begin // port, -(-(begin + count) // port)))


def _place_weights(arena: _Arena, tiled: TiledLayer) -> tuple[int, int, Numbers | None]:
    """Return the first byte of weights in the order of fetching, their bytes, and the numbers [M, C or 1, kh, kw]."""
    layer = tiled.layer
    if layer.operation.is_weightless:
        return 0, 0, None
    if layer.operation.reads_gate:
        begin = arena.place(layer.in_channels)
        return begin, layer.in_channels, arena.numbers[0, begin : begin + layer.in_channels].reshape(-1, 1, 1, 1)
    inputs = layer.in_channels if layer.operation.is_dense else 1
    index = 1 + np.arange(layer.out_channels * inputs * layer.taps).reshape(layer.out_channels, inputs, *layer.kernel)
    numbers = arena.rng.integers(0, 1 << 63, index.size + 1, dtype=np.uint64)
    numbers[0] = 0
    # Weights hold few bits: each byte of memory tells its index by one digit after the other.
    digits = [pack_weights(tiled, (index >> shift & 15).astype(np.int8)) for shift in (0, 4, 8, 12, 16)]
    begin, count = arena.place(len(digits[0])), len(digits[0])
    if layer.weight_bits == 4:
        for plane, at in ((1, 0), (2, 4)):
            found = sum((digit.astype(np.int64) >> at & 15) << 4 * place for place, digit in enumerate(digits))
            arena.numbers[plane, begin : begin + count] = numbers[found]
    else:
        found = sum(digit.astype(np.int64) << 4 * place for place, digit in enumerate(digits))
        arena.numbers[0, begin : begin + count] = numbers[found]
    return begin, count, numbers[index]


def _place_parameters(
    arena: _Arena, tiled: TiledLayer, edges: tuple[int, int, int, int]
) -> tuple[int, int, Numbers, int]:
    """Return the first byte of the parameters, their bytes, the number of each result, and the field ``edges``."""
    layer = tiled.layer
    averages = layer.operation.averages
    count = (edges[0] + edges[1] + 1, edges[2] + edges[3] + 1) if averages else (layer.out_channels,)
    index = 1 + np.arange(math.prod(count)).reshape(count)
    data = EngineData(
        weight=None, bias=index, multiplier=index * 0, code=index * 0, table=np.zeros(256, np.int8), edges=edges
    )
    packed, field = pack_parameters(EngineNode(name="layer", tiled=tiled, data=data, ifmap="ifmap"), tiled.shape)
    begin = arena.place(packed.size)
    numbers = arena.rng.integers(0, 1 << 63, index.size + 1, dtype=np.uint64)
    units = begin + UNIT_BYTES * np.arange(packed.size // UNIT_BYTES)
    arena.numbers[0, units] = numbers[packed.view(isa.PARAMETERS)["bias"]]
    if averages:
        rows = border_classes(layer.out_height, edges[0], edges[1])
        cols = border_classes(layer.out_width, edges[2], edges[3])
        return begin, packed.size, numbers[index[np.ix_(rows, cols)]], field
    return begin, packed.size, numbers[index][:, None, None], field


def plain_tiles(tiled: TiledLayer) -> Iterator[tuple[int, int, int, int]]:
    """Return (output channels, input channels, row, column), each the number of a tile, in order."""
    layer, mapping = tiled.layer, tiled.mapping
    outs = range(math.ceil(layer.out_channels / mapping.tile_out_channels))
    ins = range(math.ceil(layer.in_channels / mapping.tile_in_channels) if layer.operation.is_dense else 1)
    pixels = list(
        product(
            range(math.ceil(layer.out_height / mapping.tile_height)),
            range(math.ceil(layer.out_width / mapping.tile_width)),
        )
    )
    if mapping.loop_order is LoopOrder.PIXELS_OUTER:
        yield from ((out, each, *pixel) for pixel in pixels for out in outs for each in ins)
    elif mapping.loop_order is LoopOrder.CHANNELS_OUTER:
        yield from ((out, each, *pixel) for out in outs for pixel in pixels for each in ins)
    else:
        yield from ((out, each, *pixel) for pixel in pixels for each in ins for out in outs)


def plain_positions(
    whole: TiledLayer, tiled: TiledLayer, rows: tuple[int, int], tile: tuple[int, int, int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows, columns and channel words of the whole input map under all windows of a tile of some output rows.

    Of a repeated map each as often.
    """
    layer, mapping, word = whole.layer, tiled.mapping, whole.shape.accelerator.axi_bytes
    out, each, *pixel = tile
    channels, part, at = layer.in_channels, mapping.tile_in_channels, each
    if not layer.operation.is_dense:
        part, at = mapping.tile_out_channels, out
    words = np.arange(at * part // word, math.ceil(min(channels, (at + 1) * part) / word))
    positions = []
    spans = (rows, (0, layer.out_width))
    for axis, size in enumerate((mapping.tile_height, mapping.tile_width)):
        begin, end = spans[axis]
        outputs = range(begin + pixel[axis] * size, min(begin + (pixel[axis] + 1) * size, end))
        first = outputs[0] * layer.stride[axis] - layer.padding[axis]
        last = outputs[-1] * layer.stride[axis] - layer.padding[axis] + (layer.kernel[axis] - 1) * layer.dilation[axis]
        positions.append(np.array([p for p in range(first, last + 1) if 0 <= p < layer.in_size(axis)], int))
    halves = 2 if layer.repeat else 1
    return positions[0] // halves, positions[1] // halves, words


def check_results(walk: DescriptorWalk, spot: Spot, expected: Numbers, rows: tuple[int, int]) -> None:
    """Check that every word of some rows of the result is written once, with the results that belong there."""
    channels, _, width = expected.shape
    word = walk.c["BYTES"]
    words = math.ceil(channels / word)
    there = spot.words(np.arange(*rows), np.arange(width), np.arange(words), walk.memory.arena_words)
    written = np.concatenate(walk.result_words)
    order, expected_order = np.argsort(written), np.argsort(there.reshape(-1))
    assert np.array_equal(written[order], there.reshape(-1)[expected_order])
    results = np.zeros((there.size, word), np.uint64)
    results[expected_order] = np.concatenate(walk.results)[order]
    results = results.reshape(rows[1] - rows[0], width, words * word)[..., :channels]
    assert np.array_equal(results.transpose(2, 0, 1), expected[:, slice(*rows)])


@pytest.mark.parametrize("name", SHAPES)
def test_every_input_weight_and_result_of_random_layers_is_in_its_place(name: str) -> None:
    rng = np.random.default_rng(31)
    for _ in range(LAYERS):
        case = make_case(rng, random_tiled_layer(rng, SHAPES[name]))
        case.run()


def axis_cases() -> list[tuple[int, ...]]:
    """Return (size, kernel, stride, dilation, padding before, behind, tile) of small axes, dilated ones alike."""
    cases: list[tuple[int, ...]] = []
    for size, kernel, stride, dilation in product(range(1, 6), range(1, 4), range(1, 4), (1, 2)):
        for before, behind in product(range(3), repeat=2):
            outputs = (size + before + behind - (kernel - 1) * dilation - 1) // stride + 1
            told = dilation == 1 or (kernel > 1 and before == behind)
            for tile in range(1, outputs + 1) if told else ():
                if tile == outputs or tile * stride >= before:
                    cases.append((size, kernel, stride, dilation, before, behind, tile))
    return cases


@pytest.mark.parametrize("pixels", [1, 2, 3])
def test_every_small_map_kernel_and_tile_reads_and_writes_what_it_must(pixels: int) -> None:
    shape = shape_of(Limits(max_stride=3, max_dilation=2), **SMALL, pe_pixels=pixels)
    rng = np.random.default_rng(pixels)
    cols = axis_cases()
    operations = [Operation.CONV, Operation.DEPTHWISE, Operation.POOL, Operation.MAX_POOL]
    # Rows and columns do not touch each other: each case is that of one layer's rows, and of another's columns.
    for index, (row, col) in enumerate(zip(rng.permutation(cols).tolist(), cols, strict=True)):
        channels = int(rng.integers(1, 9))
        layer = EngineLayer(
            operation=operations[index % 4],
            in_channels=channels,
            in_height=row[0],
            in_width=col[0],
            out_channels=channels,
            kernel=(row[1], col[1]),
            stride=(row[2], col[2]),
            dilation=(row[3], col[3]),
            padding=(row[4], col[4], row[5], col[5]),
            pad_value=-128 if operations[index % 4] is Operation.MAX_POOL else 0,
        )
        mapping = Mapping(
            tile_out_channels=4,
            tile_in_channels=4,
            tile_height=row[6],
            tile_width=col[6],
            loop_order=LoopOrder.PIXELS_OUTER if index % 3 else LoopOrder.CHANNELS_OUTER,
        )
        make_case(rng, TiledLayer(layer=layer, mapping=mapping, shape=shape)).run()


SIDES, PIXELS, KIB = st.sampled_from([4, 8, 12, 16, 24]), st.integers(1, 8), st.sampled_from([1, 2, 4, 8])


@st.composite
def engines(draw: st.DrawFn) -> EngineShape:
    """Any legal engine with small buffers, which tiles fill to the last word."""
    limits = Limits(
        max_kernel=draw(st.integers(1, 11)),
        max_pool=draw(st.integers(13, 200)),
        max_stride=draw(st.integers(1, 4)),
        max_dilation=draw(st.integers(1, 4)),
        zero_point=draw(st.booleans()),
    )
    parameters = {
        **{name: draw(SIDES) for name in ("pe_rows", "pe_cols")},
        **{name: draw(KIB) for name in ("ifmap_kib", "weight_kib", "ofmap_kib")},
        **{name: draw(st.sampled_from([1, 2])) for name in ("ifmap_buffers", "weight_buffers", "ofmap_buffers")},
        "pe_pixels": draw(PIXELS),
        "axi_bits": draw(st.sampled_from([32, 64, 128])),
        "weight_port_words": draw(st.sampled_from([1, 2])),
        "map_kib": draw(st.sampled_from([0, 1, 2, 8])),
    }
    try:
        return shape_of(limits, **parameters)
    except InvalidValueError:
        reject()


@given(shape=engines(), seed=st.integers(0, 1 << 32))
@settings(max_examples=60, deadline=None)
def test_all_that_a_legal_engine_is_given_fits_its_registers(shape: EngineShape, seed: int) -> None:
    rng = np.random.default_rng(seed)
    tiled = None
    for _ in range(20):
        tiled = tiled or randomly_tiled(rng, random_layer(rng, shape), shape)
    assume(tiled is not None)
    make_case(rng, tiled).run()


@given(shape=engines())
@settings(max_examples=200, deadline=None)
def test_the_width_of_each_register_holds_the_greatest_value_that_occurs(shape: EngineShape) -> None:
    a, limits, widths = shape.accelerator, shape.limits, shape.constants()
    greatest = {
        "IA": a.ifmap_kib * 1024 // (a.pe_pixels * a.pe_cols) * a.ifmap_buffers - 1,
        # A step is half a line, in which 4-bit weights lie.
        "WA": 2 * (a.weight_kib * 1024 // (a.pe_rows * a.pe_cols)) * a.weight_buffers - 1,
        "OA": a.ofmap_kib * 1024 // (4 * a.pe_rows * a.pe_pixels) * a.ofmap_buffers - 1,
        # All sums of a half become a byte each.
        "RA": a.ofmap_kib * 1024 // (4 * a.pe_rows * a.pe_pixels) * a.pe_rows * a.pe_pixels // a.axi_bytes
        * a.ofmap_buffers - 1,
        "PA": 2 * math.ceil(2048 / a.post_lanes) - 1,
        "MA": 2 * a.map_depth,
        "BW": max(a.pe_rows, a.pe_cols) // a.axi_bytes - 1,
        "KW": max(limits.max_kernel, limits.max_pool),
        "TW": max(limits.max_kernel, a.pe_pixels) - 1,
        "DW": max(limits.max_stride, limits.max_dilation),
        "RW": a.pe_pixels - 1,
        "PW": a.pe_rows * a.pe_cols // math.gcd(a.pe_rows, a.pe_cols) - 1,
    }  # fmt: skip
    for name, value in greatest.items():
        assert value < 1 << int(widths[name]), name
        assert value >= 1 << (int(widths[name]) - 1) or value < 2, name


@pytest.mark.parametrize(("size", "stride", "tile_height"), [((16, 32), 1, 16), ((3, 300), 2, 1)])
def test_a_step_that_no_tile_takes_may_be_longer_than_a_bank(
    size: tuple[int, int], stride: int, tile_height: int
) -> None:
    shape = shape_of(**SMALL, ifmap_buffers=1, pe_pixels=1)
    layer = EngineLayer(
        operation=Operation.CONV,
        in_channels=4,
        in_height=size[0],
        in_width=size[1],
        out_channels=4,
        stride=(stride, 1),
    )
    mapping = Mapping(
        tile_out_channels=4,
        tile_in_channels=4,
        tile_height=tile_height,
        tile_width=size[1],
        loop_order=LoopOrder.PIXELS_OUTER,
    )
    case = make_case(np.random.default_rng(1), TiledLayer(layer=layer, mapping=mapping, shape=shape))
    depth = shape.accelerator.ifmap_depth
    assert depth == 1 << shape.field_bits_of("IA") == 512
    assert depth in (size[0] * size[1], *range(stride * size[1]))
    case.run()


def changes_of(name: str, width: str) -> list[int]:
    """Return the changes that a field must not suffer unnoticed: flipped, or one more and one less."""
    if width == "1":
        return [1]
    if name.startswith("tap_col_"):
        return [1, -1, 1 << 8, -1 << 8]
    return [1, -1]


UNNOTICED = {
    ("d_group", 1): "loader and window step by it alike: lines of channels then only lie further apart",
    ("tap_col_10", 1 << 8): "no tap follows the eleventh",
    ("tap_col_10", -1 << 8): "no tap follows the eleventh",
    ("waits", 1): "nothing was written before a step that runs alone; see test_plan.py",
    ("waits", -1): "nothing was written before a step that runs alone; see test_plan.py",
}
"""Changes of fields that are read which change no result, by reason."""


def telling_cases() -> Iterator[Case]:
    """Random layers of all engines, and layers for fields that few of those use."""
    wide = SHAPES["7 pixels, kernels to 11"]
    rng = np.random.default_rng(8)
    layer = EngineLayer(
        operation=Operation.CONV,
        in_channels=20,
        in_height=3,
        in_width=40,
        out_channels=9,
        kernel=(2, 11),
        stride=(1, 2),
        dilation=(1, 3),
    )
    mapping = Mapping(
        tile_out_channels=8, tile_in_channels=8, tile_height=1, tile_width=2, loop_order=LoopOrder.INPUTS_OUTER
    )
    yield make_case(rng, TiledLayer(layer=layer, mapping=mapping, shape=wide))
    # Rows of a single line, which begin in every line of a ring.
    narrow = EngineLayer(
        operation=Operation.CONV, in_channels=8, in_height=9, in_width=1, out_channels=8, kernel=(3, 1)
    )
    mapping = replace(mapping, tile_out_channels=16, tile_height=2, tile_width=1)
    for _ in range(10):
        yield make_case(rng, TiledLayer(layer=narrow, mapping=mapping, shape=SHAPES["maps on chip, more rows"]))
    for _ in range(MUTATED_LAYERS):
        for shape in SHAPES.values():
            yield make_case(rng, random_tiled_layer(rng, shape))


def test_a_change_of_any_field_that_the_engine_reads_is_noticed() -> None:
    missed = {(name, change) for name, width, _ in isa.FIELDS for change in changes_of(name, width)}
    missed = {(name, change) for name, change in missed if name in fields_read()}
    asked: set[str] = set()
    for case in telling_cases():
        used = case.run().fields.asked
        asked |= used
        for name, change in sorted(missed):
            if name not in used or (name, change) in UNNOTICED:
                continue
            changed = case.record.copy()
            changed[name] = 1 - changed[name] if dict(WIDTHS)[name] == "1" else changed[name] + change
            try:
                case.run(changed)
            except (AssertionError, WalkError):
                missed.remove((name, change))
        if missed == UNNOTICED.keys():
            break
    assert missed == UNNOTICED.keys()
    assert asked == fields_read()


WIDTHS = [(name, width) for name, width, _ in isa.FIELDS]


def fields_read() -> set[str]:
    """The fields that the Verilog names, and those of which its check of ranges takes one value alone."""
    named = {name.lower() for path in RTL.glob("*.v") for name in re.findall(r"`AT_(\w+)", path.read_text())}
    return named | {f"tap_col_{tap}" for tap in range(isa.TAPS)} | {"size", "version"}


def test_the_fields_that_the_verilog_does_not_read_are_known_and_why() -> None:
    assert {name for name, _ in WIDTHS} - fields_read() == set().union(*NOT_READ.values())


def test_the_verilog_keeps_as_many_bits_of_a_field_as_the_table_says() -> None:
    found = {
        (name.lower(), {"BEATS": "16"}.get(width, width))
        for path in RTL.glob("*.v")
        for width, name in re.findall(r"`FIELD\(\w+, (\w+), `AT_(\w+)[,)]", path.read_text())
    }
    assert len(found) > 80
    assert found <= set(WIDTHS)
