"""Cycles beside what was measured on the blocks of the Verilog, and beside what nothing can be faster than."""

import numpy as np
import pytest
from support.verilog.random_engine_layers import random_tiled_layer

from cost_models.engine.counts import count_layer, slot_work
from cost_models.engine.cycles import MemoryTiming, layer_cycles, program_cycles
from cost_models.engine.places import MapPlace, PlacedLayer, Places
from cost_models.engine.stages import compute_cycles, pattern_cycles
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.rtl_config import EngineShape, Limits

BASE = {
    "pe_rows": 8, "pe_cols": 8, "pe_pixels": 4, "pack": 2, "ifmap_kib": 16, "weight_kib": 16, "ofmap_kib": 16,
    "axi_bits": 64, "clock_mhz": 100, "depthwise_lanes": 8,
}  # fmt: skip
SHAPES = [
    EngineShape(accelerator=Accelerator(**(BASE | changes)), limits=Limits(max_stride=3))
    for changes in (
        {},
        {"ifmap_buffers": 1, "weight_buffers": 1, "ofmap_buffers": 1},
        {"axi_bits": 32, "depthwise_lanes": 4},
        {"weight_port_words": 2, "pe_rows": 16, "ofmap_buffers": 1},
    )
]


def random_layers(shape: EngineShape, count: int, seed: int) -> list[PlacedLayer]:
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
        layers.append(PlacedLayer(tiled=tiled, places=places, descriptor_word=0))
    return layers


@pytest.mark.parametrize(
    ("rows", "runs", "words", "measured"),
    [(1, 1, 1024, 1093), (14, 14, 8, 1637), (14, 14, 2, 929)],
)
def test_reads_take_what_was_measured_of_the_read_engine(rows: int, runs: int, words: int, measured: int) -> None:
    # Measured: bursts of 16, a latency of 60, from the command (9 cycles to its address) to the last word.
    pattern = np.array([[0, rows, runs * 16, runs, 16, words, 0, 0]])
    assert pattern_cycles(pattern, 1, 60.0, 1.0)[0] == measured - 60 - 9


def test_a_tile_is_computed_in_its_iterations_and_the_way_through_the_array() -> None:
    # The start's own cycle and 6 to the first address of the window, 4 to the operands, 4 + 4 + 1 through chains of 4
    # and a tree of one level, one to the bank of the sum, one to `done`; each further iteration takes one.
    in_order = 1 + 6 + 4 + (4 + 4 + 1) + 1 + 1
    assert compute_cycles(SHAPES[0], np.array([1, 100])).tolist() == [in_order, in_order + 99]


@pytest.mark.parametrize("shape", SHAPES)
def test_no_layer_is_faster_than_its_stages_or_than_its_memory(shape: EngineShape) -> None:
    word, port_bytes = shape.accelerator.axi_bytes, shape.accelerator.weight_port_bytes
    for layer in random_layers(shape, 40, 1):
        ports = count_layer(layer).ports
        bytes_moved = (ports.ifmap.words + ports.residual.words + ports.ofmap.words) * word
        bytes_moved += ports.weights.words * port_bytes
        before = 0
        for latency in (10, 60, 150):
            ample = layer_cycles(layer, MemoryTiming(latency_cycles=latency))
            assert len(ample.slots) == len(slot_work(layer).iterations) + 2
            assert (ample.slots[1:-1] >= slot_work(layer).iterations).all(), layer
            assert ample.counted > before, layer
            before = ample.counted
            assert ample.total >= ample.counted + latency
            for limit in (4, 12):
                shared = layer_cycles(layer, MemoryTiming(latency_cycles=latency, bytes_a_cycle=limit))
                assert shared.total >= bytes_moved / limit, layer
                assert shared.total >= ample.total - 2, layer


def test_a_program_takes_the_sum_of_its_layers_drains_included() -> None:
    layers, memory = random_layers(SHAPES[0], 5, 2), MemoryTiming(latency_cycles=60)
    cycles, total = program_cycles(layers, memory)
    assert [each.total for each in cycles] == [layer_cycles(layer, memory).total for layer in layers]
    assert total == sum(each.total for each in cycles) > sum(each.counted for each in cycles)
