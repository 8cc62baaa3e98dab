"""Words, bursts and iterations beside a walk over every tile, row and run, one by one."""

import math
from dataclasses import replace

import numpy as np
import pytest
from support.pricing.random_steps import SHAPES, random_step

from cost_models.engine.counts import PortCount, count_program, count_step, layer_trips
from cost_models.engine.places import MapPlace, ProgramStep
from cost_models.mapping.mapping import LoopOrder


def bursts(begin: int, words: int) -> int:
    """Spans of 16 words that a run touches."""
    return len({word // 16 for word in range(begin, begin + words)})


def positions(axis: object, tile: int, limit: int) -> range:
    """Inputs inside the map that a tile of an axis reads."""
    outputs = min(axis.tile, axis.size - tile * axis.tile)
    begin = tile * axis.tile * axis.stride - axis.padding
    return range(max(begin, 0), min(begin + axis.extent(outputs), limit))


def walked(layer: ProgramStep) -> tuple[int, dict[str, PortCount]]:
    """Iterations of all tiles, and what passes the ports of maps and weights in them, one tile and run at a time."""
    tiled, places = layer.tiled, layer.places
    shape, accelerator, one = tiled.shape, tiled.shape.accelerator, tiled.layer
    word, halves = accelerator.axi_bytes, 2 if tiled.layer.repeat else 1
    outs, ins = tiled.out_tiles, tiled.in_tiles
    pixels = [(row, col) for row in range(tiled.rows.tiles) for col in range(tiled.cols.tiles)]
    order = tiled.mapping.loop_order
    if order is LoopOrder.CHANNELS_OUTER:
        tiles = [(out, each, *pixel) for out in range(len(outs)) for pixel in pixels for each in range(len(ins))]
    elif order is LoopOrder.PIXELS_OUTER:
        tiles = [(out, each, *pixel) for pixel in pixels for out in range(len(outs)) for each in range(len(ins))]
    else:
        tiles = [(out, each, *pixel) for pixel in pixels for each in range(len(ins)) for out in range(len(outs))]
    weight_begin, at = {}, places.weight_word // accelerator.weight_port_words
    for out, each in tiled.fetch_order():
        weight_begin[out, each] = at
        at += tiled.weight_beats(outs[out], ins[each])
    totals = {name: [0, 0] for name in ("ifmap", "weights", "residual", "ofmap")}
    iterations, held_map, held_weights = 0, None, None

    def pass_run(port: str, begin: int, words: int) -> None:
        totals[port][0] += words
        totals[port][1] += bursts(begin, words)

    def pass_results(port: str, place: MapPlace, out: int, row: int, col: int) -> None:
        sizes = [one.out_channels] if tiled.keeps_sums else outs
        first = 0 if tiled.keeps_sums else out * math.ceil(outs[0] / word)
        words = math.ceil(sizes[0 if tiled.keeps_sums else out] / word)
        columns = range(col * tiled.cols.tile, min((col + 1) * tiled.cols.tile, one.out_width))
        for y in range(row * tiled.rows.tile, min((row + 1) * tiled.rows.tile, one.out_height)):
            begins = [place.word + (y * one.out_width + x) * place.pixel_words + first for x in columns]
            if len(sizes) == 1 and place.pixel_words == words:
                pass_run(port, begins[0], len(columns) * words)
            else:
                for begin in begins:
                    pass_run(port, begin, words)

    for out, each, row, col in tiles:
        ys = positions(tiled.rows, row, one.in_height)
        xs = positions(tiled.cols, col, one.in_width)
        sizes = ins if tiled.dense else outs
        part = each if tiled.dense else out
        words, first = math.ceil(sizes[part] / word), part * math.ceil(sizes[0] / word)
        if (part, row, col) != held_map:
            held_map = (part, row, col)
            place, width = places.ifmap, one.in_width // halves
            for y in ys if xs else ():
                begins = [place.word + (y // halves * width + x // halves) * place.pixel_words + first for x in xs]
                if len(sizes) == 1 and place.pixel_words == words and halves == 1:
                    pass_run("ifmap", begins[0], len(xs) * words)
                else:
                    for begin in begins:
                        pass_run("ifmap", begin, words)
        if (out, each) != held_weights:
            held_weights = (out, each)
            pass_run("weights", weight_begin[out, each], tiled.weight_beats(outs[out], ins[each]))
        height = min(tiled.rows.tile, one.out_height - row * tiled.rows.tile)
        width = min(tiled.cols.tile, one.out_width - col * tiled.cols.tile)
        groups = math.ceil(outs[out] / (accelerator.pe_rows if tiled.dense else shape.lanes))
        groups *= math.ceil(ins[each] / accelerator.pe_cols) if tiled.dense else 1
        iterations += groups * height * math.ceil(width / accelerator.pe_pixels) * one.taps
        if each == len(ins) - 1 and (out == len(outs) - 1 or not tiled.keeps_sums):
            pass_results("ofmap", places.ofmap, out, row, col)
            if places.residual is not None:
                pass_results("residual", places.residual, out, row, col)
    return iterations, {name: PortCount(*total) for name, total in totals.items()}


@pytest.mark.parametrize("number", range(len(SHAPES)))
def test_counts_equal_a_walk_over_every_run(number: int) -> None:
    shape, rng = SHAPES[number], np.random.default_rng(number)
    port = shape.accelerator.weight_port_words
    for _ in range(60):
        layer = random_step(rng, shape)
        count = count_step(layer)
        iterations, ports = walked(layer)
        assert count.trips.compute_trips == iterations, layer.tiled
        assert count.ports.ifmap == ports["ifmap"], layer
        assert count.trips.ifmap_words == ports["ifmap"].words
        assert count.ports.residual == ports["residual"], layer
        assert count.trips.weight_words == ports["weights"].words * port
        assert count.trips.ofmap_words == ports["ofmap"].words
        # Descriptor of 512 bytes, parameters of 8 bytes a channel of whole words, table of 256; counters of 32 bytes.
        lanes = shape.accelerator.post_lanes
        channels = lanes * math.ceil(layer.tiled.layer.out_channels / lanes)
        if layer.tiled.layer.operation.averages:
            channels = lanes
        setup = PortCount()
        for word, size in (
            (layer.descriptor_word, 512), (layer.places.parameter_word, 8 * channels), (layer.places.table_word, 256),
        ):  # fmt: skip
            beats = size // shape.accelerator.weight_port_bytes
            setup += PortCount(beats, bursts(word // port, beats))
        assert count.ports.weights == ports["weights"] + setup, layer
        words = 32 // shape.accelerator.axi_bytes
        assert count.ports.ofmap == ports["ofmap"] + PortCount(words, bursts(layer.places.counter_word, words)), layer


def test_a_program_counts_the_sum_of_its_steps_and_a_layer_that_of_its_bands() -> None:
    rng = np.random.default_rng(3)
    steps = [replace(random_step(rng, SHAPES[0]), layer=index // 3) for index in range(8)]
    counts, ports = count_program(steps)
    assert counts == [count_step(step) for step in steps]
    assert ports.weights == sum((count.ports.weights for count in counts), PortCount())
    assert ports.residual.words == sum(count.ports.residual.words for count in counts) > 0
    layers = layer_trips(steps, counts)
    assert [each.compute_trips for each in layers] == [
        sum(count.trips.compute_trips for count in counts[first : first + 3]) for first in (0, 3, 6)
    ]
    assert sum(each.ofmap_words for each in layers) == sum(count.trips.ofmap_words for count in counts)


def test_a_table_that_stays_is_not_fetched() -> None:
    step = random_step(np.random.default_rng(4), SHAPES[0])
    with_table, without = (count_step(replace(step, load_table=loads)).ports.weights for loads in (True, False))
    assert with_table.words - without.words == 256 // 8
    assert with_table.bursts > without.bursts
