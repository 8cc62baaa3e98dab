"""Cycles beside what was measured on the blocks of the Verilog, and beside what nothing can be faster than."""

from dataclasses import replace

import numpy as np
import pytest
from support.verilog.random_engine_layers import random_tiled_layer

from cost_models.engine.counts import count_step, slot_work
from cost_models.engine.cycles import program_cycles, step_cycles
from cost_models.engine.layer import EngineLayer
from cost_models.engine.places import MapPlace, Places, ProgramStep, Ring
from cost_models.engine.stages import MemoryTiming, compute_cycles
from cost_models.engine.tiles import TiledLayer
from cost_models.mapping.mapping import LoopOrder, Mapping
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.engine_shape import EngineShape, Limits
from hw_templates.operations import Operation

BASE = {
    "pe_rows": 8, "pe_cols": 8, "pe_pixels": 4, "pack": 2, "ifmap_kib": 16, "weight_kib": 16, "ofmap_kib": 16,
    "axi_bits": 64, "clock_mhz": 100,
}  # fmt: skip
SHAPES = [
    EngineShape(accelerator=Accelerator(**(BASE | changes)), limits=Limits(max_stride=3))
    for changes in (
        {},
        {"ifmap_buffers": 1, "weight_buffers": 1, "ofmap_buffers": 1},
        {"axi_bits": 32},
        {"weight_port_words": 2, "pe_rows": 16, "ofmap_buffers": 1},
    )
]


def random_steps(shape: EngineShape, count: int, seed: int) -> list[ProgramStep]:
    rng = np.random.default_rng(seed)
    layers = []
    for _ in range(count):
        tiled = random_tiled_layer(rng, shape)
        word = shape.accelerator.axi_bytes
        ifmap, ofmap = (
            MapPlace(word=64 * int(rng.integers(100)), pixel_words=-(-channels // word))
            for channels in (tiled.layer.in_channels, tiled.layer.out_channels)
        )
        places = Places(ifmap=ifmap, ofmap=ofmap, residual=ofmap if tiled.layer.residual else None)
        layers.append(ProgramStep(tiled=tiled, places=places, descriptor_word=0))
    return layers


def test_a_tile_is_computed_in_its_iterations_and_the_way_through_the_array() -> None:
    # The start's own cycle and 6 to the first address of the window, 4 to the operands, 4 + 4 + 1 through chains of 4
    # and a tree of one level, one to the bank of the sum, one to `done`; each further iteration takes one.
    in_order = 1 + 6 + 4 + (4 + 4 + 1) + 1 + 1
    assert compute_cycles(SHAPES[0], np.array([1, 100])).tolist() == [in_order, in_order + 99]


@pytest.mark.parametrize("shape", SHAPES)
def test_no_layer_is_faster_than_its_stages_or_than_its_memory(shape: EngineShape) -> None:
    word, port_bytes = shape.accelerator.axi_bytes, shape.accelerator.weight_port_bytes
    for layer in random_steps(shape, 40, 1):
        ports = count_step(layer).ports
        bytes_moved = (ports.ifmap.words + ports.residual.words + ports.ofmap.words) * word
        bytes_moved += ports.weights.words * port_bytes
        before = 0
        for latency in (10, 60, 150):
            ample = step_cycles(layer, MemoryTiming(latency_cycles=latency))
            assert len(ample.slots) == len(slot_work(layer).iterations) + 2
            assert (ample.slots[1:-1] >= slot_work(layer).iterations).all(), layer
            assert ample.counted > before, layer
            before = ample.counted
            assert ample.total >= ample.counted + latency
            for limit in (4, 12):
                shared = step_cycles(layer, MemoryTiming(latency_cycles=latency, bytes_a_cycle=limit))
                assert shared.total >= bytes_moved / limit, layer
                assert shared.total >= ample.total - 2, layer


def test_a_program_takes_the_sum_of_its_steps_and_hides_what_it_fetches_early() -> None:
    memory = MemoryTiming(latency_cycles=60)
    alone = random_steps(SHAPES[0], 6, 2)
    for early in (0, 1, 2):
        steps = [replace(step, early=early if index else 0) for index, step in enumerate(alone)]
        cycles, total = program_cycles(steps, memory)
        assert total == sum(each.total for each in cycles) > sum(each.counted for each in cycles)
        # Between two steps there are only the counters of the first.
        assert cycles[0].setup > 200 > 60 > max(each.setup for each in cycles[1:])
        slots = [len(slot_work(step).iterations) + 2 - (early == 2) for step in steps[1:]]
        assert [len(each.slots) for each in cycles[1:]] == slots
    totals = [
        program_cycles([replace(step, early=early if index else 0) for index, step in enumerate(alone)], memory)[1]
        for early in (0, 1, 2)
    ]
    # With weights alone there are two waits for memory in place of one, which pays only beside a long store.
    assert totals[2] < min(totals[:2])
    assert totals[0] < sum(step_cycles(step, memory).total for step in alone)


def test_the_next_step_is_described_beside_the_first_tile_that_loads_no_weights() -> None:
    memory = MemoryTiming(latency_cycles=60)
    layer = EngineLayer(operation=Operation.CONV, in_channels=8, in_height=9, in_width=9, out_channels=24)
    for order, free in ((LoopOrder.CHANNELS_OUTER, 1), (LoopOrder.PIXELS_OUTER, 9)):
        # Three tiles of channels of three tiles of rows: with the pixels inside, a second tile loads no weights.
        mapping = Mapping(tile_out_channels=8, tile_in_channels=8, tile_height=3, tile_width=9, loop_order=order)
        place = MapPlace(word=0, pixel_words=3)
        step = ProgramStep(
            tiled=TiledLayer(layer=layer, mapping=mapping, shape=SHAPES[0]),
            places=Places(ifmap=replace(place, pixel_words=1), ofmap=place),
            descriptor_word=0,
        )
        with_next, alone = program_cycles([step, step], memory)[0][0], step_cycles(step, memory)
        longer = with_next.slots - alone.slots
        assert longer[free] > 60
        assert np.delete(longer, free).max() < 1e-6


def test_maps_on_chip_take_their_lines_and_leave_the_memory_alone() -> None:
    accelerator = Accelerator(**(BASE | {"map_kib": 32, "pe_rows": 16}))
    shape = EngineShape(accelerator=accelerator)
    layer = EngineLayer(operation=Operation.CONV, in_channels=24, in_height=16, in_width=16, out_channels=32)
    mapping = Mapping(
        tile_out_channels=32, tile_in_channels=24, tile_height=8, tile_width=16, loop_order=LoopOrder.PIXELS_OUTER
    )
    tiled = TiledLayer(layer=layer, mapping=mapping, shape=shape)
    inside = MapPlace(word=0, pixel_words=2, ring=Ring(lines=512, end=512))
    outside = MapPlace(word=2048, pixel_words=2, ring=Ring(lines=512, end=2560))
    step = ProgramStep(tiled=tiled, places=Places(ifmap=inside, ofmap=outside), descriptor_word=0)
    work, count = slot_work(step), count_step(step)
    # 128 pixels of a tile: 24 channels are three lines of 8, 32 results two of 16.
    assert work.loaded_lines.tolist() == [384, 384]
    assert work.stored_lines.tolist() == [256, 256]
    assert (count.trips.ifmap_words, count.trips.ofmap_words) == (768, 512)
    assert (count.ports.ifmap.words, count.ports.ofmap.words) == (0, 32 // 8)
    cycles = {latency: step_cycles(step, MemoryTiming(latency_cycles=latency)).slots for latency in (20, 2000)}
    assert cycles[20][3] == cycles[2000][3] == 1 + 256 + 20 + 1
    compute = 2 * 3 * 8 * 4
    assert compute < 384
    assert cycles[20][1] == 2 + 384 + 10 + 1
