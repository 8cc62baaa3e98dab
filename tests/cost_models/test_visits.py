"""The order of tiles against the loops themselves."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_layers import random_layers

from cost_models.layer_columns import LayerColumns
from cost_models.tiling import Array, ChannelTiling, Engine, PixelTile, PixelTiling
from cost_models.visits import (
    RELOADS_IFMAP,
    RELOADS_WEIGHTS,
    VISITS,
    Inside,
    PixelTiles,
    Traffic,
    Visit,
    visit_numbers,
)
from cost_models.workload import Layer, Operation
from hw_templates.accelerator import Accelerator, AcceleratorColumns

ENGINE = Engine.of(AcceleratorColumns.of([Accelerator(16, 8, 2, 1, 8, 8, 8, 64, 100, 8)]), np.float64)
# Tiles of output channels, input channels, rows and columns; whether channels are outside.
CASES = list(itertools.product((1, 2, 3), (1, 2, 3), (1, 2, 3), (1, 2, 3), (False, True)))


def number_of(m: int, n: int, rows: int, cols: int, outer: bool) -> int:
    axes = (np.array([count > 1]) for count in (m, n, rows, cols))
    return int(visit_numbers(*axes, np.array([outer]))[0])


def steps(m: int, n: int, rows: int, cols: int, outer: bool) -> list[tuple[int, int, int, int]]:
    """(m, n, row, column) of every step of a dense layer."""
    if outer:
        return [(i, j, h, w) for i in range(m) for h in range(rows) for w in range(cols) for j in range(n)]
    return [(i, j, h, w) for h in range(rows) for w in range(cols) for i in range(m) for j in range(n)]


def loads(keys: list[tuple[int, ...]]) -> int:
    """How often a buffer that holds the last tile must load."""
    return sum(key != before for key, before in zip(keys, [None, *keys[:-1]], strict=True))


def test_reloads_are_those_of_buffers_that_hold_the_last_tile() -> None:
    for m, n, rows, cols, outer in CASES:
        walked, number = steps(m, n, rows, cols, outer), number_of(m, n, rows, cols, outer)
        ifmap, weights = loads([(j, h, w) for _, j, h, w in walked]), loads([(i, j) for i, j, _, _ in walked])
        assert ifmap == n * rows * cols * (m if RELOADS_IFMAP[number] else 1)
        assert weights == m * n * (rows * cols if RELOADS_WEIGHTS[number] else 1)


def test_inside_is_what_changes_from_step_to_step() -> None:
    for case in CASES:
        walked, visit = steps(*case), VISITS[number_of(*case)]
        assert (visit.single_out, visit.many_cols) == (case[0] == 1, case[3] > 1)
        if len(walked) == 1:
            assert visit == Visit(Inside.NONE, single_out=True, many_cols=False)
            continue
        (m, n, *pixel), (next_m, next_n, *next_pixel) = walked[:2]
        changing = {Inside.CHANNELS: m != next_m, Inside.INPUTS: n != next_n, Inside.PIXELS: pixel != next_pixel}
        assert [inside for inside, changes in changing.items() if changes] == [visit.inside]


def test_numbers_are_taken_elementwise() -> None:
    columns = [np.array(column) for column in zip(*CASES, strict=True)]
    together = visit_numbers(*(column > 1 for column in columns[:4]), columns[4])
    assert together.tolist() == [number_of(*case) for case in CASES]


def total(name: str, tiles: list[tuple[Array | int, PixelTile]]) -> float:
    return float(sum(np.sum(times * getattr(tile, name)) for times, tile in tiles))


@given(random_layers(16, 8), st.integers(1, 16), st.integers(1, 16))
@settings(max_examples=150, deadline=None)
def test_rows_and_lines_hold_every_tile_once(layer: Layer, height: int, width: int) -> None:
    one = [np.array([[float(size)]]) for size in (height, width)]
    tiling = PixelTiling.of(LayerColumns.of([layer]).astype(np.float64), ENGINE, *one)
    many_cols = bool(tiling.cols.count.item() > 1)
    assume(tiling.count.item() > 1)
    tiles = PixelTiles(tiling, Visit(Inside.PIXELS, True, many_cols), True, True, np.array([0]))
    outer = [(times * repeats, tile) for times, row in tiles.outer() for repeats, tile in row]
    lines = [
        (line.repeats * times, tile)
        for line in tiles.lines()
        for times, tile in zip((1, line.count - 2, 1), line.tiles, strict=True)
    ]
    for found in (outer, lines):
        assert sum(np.sum(times) for times, _ in found) == tiling.count.item()
        assert total("outputs", found) == pytest.approx(layer.out_height * layer.out_width)
        assert total("area", found) == pytest.approx(tiling.area.item())
        assert total("trips", found) == pytest.approx(tiling.all_trips.item())
    assert [line.is_first for line in tiles.lines()] == [True, False, False][: len(tiles.lines())]
    assert tiles.first.area == tiles.lines()[0].tiles[0].area


def test_traffic_by_hand() -> None:
    # 1x1, 16 -> 24 channels, 4x4, with a residual; tiles of 16 channels and of 2 rows, pixels inside: the map of 16
    # pixels * 2 words is loaded for both tiles of output channels, the weights (2 groups of 16 * 16 bytes) once; 16
    # pixels * 3 words of results, as many of the residual. 2 groups of 16 outputs, 2 of 8 inputs, 16 / 2 pixel pairs.
    layers = LayerColumns.of([Layer(Operation.CONV, 16, 24, 4, 4, residual=True)]).astype(np.float64)
    sixteen, two, four = (np.array([value]) for value in (16.0, 2.0, 4.0))
    channels = ChannelTiling.of(layers, ENGINE, sixteen, sixteen)
    pixels = PixelTiling.of(layers, ENGINE, two, four)
    traffic = Traffic.of(layers, channels, pixels, np.array([2]), np.array([1]))
    assert traffic.trips[0] == 2 * 2 * 8
    assert traffic.ifmap_words[0] == 2 * 16 * 2
    assert traffic.weight_words[0] == 2 * 16 * 16 // 8
    assert traffic.ofmap_words[0] == traffic.residual_words[0] == 16 * 3
    assert traffic.map_words[0] == 64 + 48 + 48
    assert replace(traffic, reads_map=True, writes_map=True).map_words[0] == 48
    twice = traffic.times(2)
    assert (twice.plus(traffic).trips[0], twice.plus(traffic).weight_words[0]) == (3 * 32, 3 * 64)
