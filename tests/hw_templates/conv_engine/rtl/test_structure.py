"""The Verilog of whole engines as yosys and Verilator read it, before anything is mapped."""

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from support.verilog.engines import ENGINES
from support.verilog.simulated import need_verilator, render_engine
from support.verilog.synthesised import need_yosys

from bitstreams.building.synthesis import check_structure
from hw_templates.board import load_board
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.engine_shape import SUPERNETS, Limits
from hw_templates.foundation.errors import ToolError
from hw_templates.project.render import render

DOUBLE = Accelerator(
    pe_rows=8,
    pe_cols=8,
    pe_pixels=3,
    pack=2,
    ifmap_kib=16,
    weight_kib=16,
    ofmap_kib=8,
    axi_bits=64,
    clock_mhz=100,
)
SINGLE = Accelerator(
    pe_rows=12,
    pe_cols=4,
    pe_pixels=1,
    pack=1,
    ifmap_kib=8,
    weight_kib=8,
    ofmap_kib=2,
    axi_bits=32,
    clock_mhz=100,
    ifmap_buffers=1,
    weight_buffers=1,
    ofmap_buffers=1,
)
MAPS = replace(DOUBLE, pe_rows=16, map_kib=8)
IMPORTED = Limits(max_kernel=11, max_stride=4, max_dilation=4, zero_point=True, edges=False)


@pytest.mark.parametrize(
    ("accelerator", "board", "limits"),
    [(DOUBLE, "pynq-z2", SUPERNETS), (SINGLE, "zcu104", IMPORTED), (MAPS, "pynq-z2", SUPERNETS)],
)
def test_every_wire_of_an_engine_has_one_driver_and_nothing_is_a_latch(
    accelerator: Accelerator, board: str, limits: Limits
) -> None:
    need_yosys()
    check_structure(render(accelerator, load_board(board), limits), "engine_axi")


@pytest.mark.parametrize("name", ["1 pixel, 32-bit ports", "128-bit ports", "weight port of two words"])
def test_the_module_of_the_block_design_is_as_wide_as_the_engine(tmp_path: Path, name: str) -> None:
    need_verilator()
    render_engine(tmp_path, ENGINES[name])
    # The identity of an answer is not looked at, and a wire is named after what it is.
    command = ["verilator", "--lint-only", "-Wall", "-Wno-UNUSED", "-Wno-SYMRSVDWORD", "-Irtl"]
    command += ["--top-module", "engine_axi"]
    module = tmp_path / "rtl/engine_axi.v"
    whole = module.read_text()
    for text in (whole, re.sub(r"wire \[\d+:0\] m_axi_weights_rdata", "wire [15:0] m_axi_weights_rdata", whole)):
        module.write_text(text)
        done = subprocess.run([*command, "rtl/engine_axi.v"], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode == 0) == (text == whole), done.stderr


def test_a_port_that_is_left_open_is_found() -> None:
    need_yosys()
    project = render(SINGLE, load_board("pynq-z2"))
    whole = project["rtl/engine_top.v"]
    project["rtl/engine_top.v"] = whole.replace(".stride(stride_cols), ", "", 1)
    assert project["rtl/engine_top.v"] != whole
    with pytest.raises(ToolError, match="problems in 'check -assert'"):
        check_structure(project)
