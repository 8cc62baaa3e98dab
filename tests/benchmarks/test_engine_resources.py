"""The committed table of whole engines: beside the formula of DSP slices and block memories, and beside yosys."""

import runpy
from pathlib import Path

import pytest
from support.verilog.synthesised import need_yosys, need_yosys_version

from bitstreams.building.synthesis import count_blocks
from cost_models.engine.blocks import array_slices, engine_blocks
from hw_templates.board import load_board
from hw_templates.conv_engine.engine_shape import EngineShape
from hw_templates.project.render import render

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks/engine_resources.py"))
ENGINES, PAGE, counted, page_text, read_table = (
    SCRIPT[name] for name in ("ENGINES", "PAGE", "counted", "page_text", "read_table")
)


def blocks(name: str) -> tuple[int, int, int]:
    """Return the DSP slices and block memories of a 7-series device that the formula states."""
    board, accelerator = ENGINES[name]
    shape = EngineShape(accelerator=accelerator, family=load_board(board).family)
    stated = engine_blocks(shape)
    # A factor of 26 bits takes two slices of a device whose factors have 25.
    split = array_slices(shape) if shape.field_bits == 18 and accelerator.pack == 2 else 0
    return stated.dsp + split, stated.ramb18, stated.ramb36


def test_engines_are_of_clearly_different_shape() -> None:
    assert len(ENGINES) >= 12
    accelerators = [accelerator for _, accelerator in ENGINES.values()]
    for name in ("pe_rows", "pe_cols", "pe_pixels", "pack", "axi_bits", "ifmap_kib", "weight_port_words"):
        assert len({getattr(accelerator, name) for accelerator in accelerators}) >= 2, name
    assert {load_board(board).family for board, _ in ENGINES.values()} == {"zynq-7000", "zynq-ultrascale+"}


@pytest.mark.parametrize("name", read_table())
def test_slices_and_memories_equal_the_formula(name: str) -> None:
    row = read_table()[name]
    assert tuple(int(row[count]) for count in ("dsp", "ramb18", "ramb36")) == blocks(name)


def test_the_page_says_what_the_table_says() -> None:
    assert PAGE.read_text() == page_text(read_table())


@pytest.mark.parametrize("name", list(read_table())[1:3])
def test_small_engines_still_take_the_slices_and_memories_of_the_formula(name: str) -> None:
    need_yosys()
    board, accelerator = ENGINES[name]
    assert count_blocks(render(accelerator, load_board(board))) == blocks(name)


@pytest.mark.parametrize("name", list(read_table())[:1])
def test_the_smallest_engine_is_still_what_the_table_says(name: str) -> None:
    row = read_table()[name]
    need_yosys_version(row["yosys"])
    now = counted(name)
    assert tuple(int(now[count]) for count in ("dsp", "ramb18", "ramb36")) == blocks(name)
    for count in ("lut", "ff", "memory_lut", "shift_lut"):
        assert int(now[count]) == pytest.approx(int(row[count]), rel=0.05), (count, now)
