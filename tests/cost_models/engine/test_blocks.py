"""Block memories and DSP slices of the engine's Verilog: by hand, by what a memory must hold, and beside yosys."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.verilog.synthesised import need_yosys

from bitstreams.building.synthesis import count_cells
from cost_models.engine.blocks import Blocks, block_memories, blocks_of, engine_blocks
from hw_templates.board import load_board
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.engine_shape import EngineShape
from hw_templates.project.render import render

ACCELERATOR = Accelerator(
    pe_rows=16,
    pe_cols=8,
    pe_pixels=2,
    pack=2,
    ifmap_kib=32,
    weight_kib=32,
    ofmap_kib=2,
    axi_bits=64,
    clock_mhz=100,
    weight_port_words=2,
)


@pytest.mark.parametrize(
    ("depth", "width", "expected"),
    [
        (512, 36, (1, 0)),  # one block of 18 Kib is 512 x 36
        (512, 72, (0, 1)),  # one of 36 Kib is 512 x 72
        (1024, 36, (0, 1)),
        (1024, 18, (1, 0)),
        (2048, 64, (0, 4)),  # four of 2048 x 18
        (16384, 1, (1, 0)),
        (4096, 32, (0, 4)),  # four of 4096 x 9
    ],
)
def test_memories_that_fill_whole_blocks(depth: int, width: int, expected: tuple[int, int]) -> None:
    assert blocks_of(depth, width) == expected


@given(st.integers(1, 20_000), st.integers(1, 300))
def test_blocks_hold_the_memory_and_a_deeper_or_wider_one_takes_no_fewer(depth: int, width: int) -> None:
    def halves(depth: int, width: int) -> int:
        ramb18, ramb36 = blocks_of(depth, width)
        return ramb18 + 2 * ramb36

    # 18 Kib with parity bits; parity is of use in widths of 9 and more alone.
    assert halves(depth, width) * 18 * 1024 >= depth * width
    assert halves(depth, width) <= halves(depth * 2, width) + 1
    assert halves(depth, width) <= halves(depth, width * 2) + 1


@pytest.mark.parametrize(
    ("depth", "width"), [(1500, 64), (2730, 32), (5460, 64), (256, 129), (300, 57), (1365, 128), (9000, 8)]
)
def test_one_memory_as_yosys_makes_it(depth: int, width: int) -> None:
    need_yosys()
    sizes = {"DEPTH": depth, "WIDTH": width, "ADDRESS": (depth - 1).bit_length()}
    counted = count_cells(render(ACCELERATOR, load_board("pynq-z2")), "bank", sizes)
    assert (counted.ramb18, counted.ramb36) == blocks_of(depth, width)


def test_an_engine_is_the_sum_of_its_parts() -> None:
    shape = EngineShape(accelerator=ACCELERATOR, family="zynq-ultrascale+")
    memories = {memory.name: (memory.banks, memory.depth, memory.width) for memory in block_memories(shape)}
    assert memories == {
        "ifmap": (2, 4096, 64),
        "weights": (8, 512, 128),
        # Sums lie in memories of LUTs, as two halves of a bank have 32.
        "residual": (1, 128, 64),
        "parameters": (8, 512, 56),
        "queues of narrow ports": (2, 256, 65),
        "queue of the weight port": (1, 256, 129),
    }
    slices = 8 * 8 * 2 + 2 * 8
    assert engine_blocks(shape) == Blocks(dsp=slices, ramb18=0, ramb36=2 * 8 + 8 * 2 + 1 + 8 + 2 + 2)


def test_an_engine_that_keeps_maps_has_their_memory_and_more_lanes() -> None:
    shape = EngineShape(accelerator=replace(ACCELERATOR, map_kib=32), family="zynq-ultrascale+")
    memories = {memory.name: (memory.banks, memory.depth, memory.width) for memory in block_memories(shape)}
    # Two halves of 32 KiB in 16 / 8 banks of 8 bytes; 16 channels are post-processed together, of 2,048.
    assert memories["maps"] == (2, 2 * 2048, 64)
    assert memories["parameters"] == (16, 2 * 128, 56)
    without = engine_blocks(EngineShape(accelerator=ACCELERATOR, family="zynq-ultrascale+"))
    # A bank of 4096 x 64 takes eight blocks, one of parameters less than one of before.
    assert engine_blocks(shape).ramb36 == without.ramb36 + 2 * 8 + 16 - 8
    # Eight more lanes requantise; what scales a residual is there for each byte of a word, as before.
    assert engine_blocks(shape).dsp == without.dsp + 8
