"""The whole engine in its least and in large sizes: Verilator finds no width that does not fit."""

import subprocess
from pathlib import Path

import pytest
from support.verilog.simulated import need_verilator, render_engine

from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.engine_shape import EngineShape, Limits

SIZES = {
    "least": (
        Limits(max_kernel=1, max_pool=1, max_stride=1, max_dilation=1, edges=False),
        {"pe_rows": 4, "pe_cols": 4, "pe_pixels": 1, "pack": 1, "axi_bits": 32},
        {"ifmap_kib": 1, "weight_kib": 1, "ofmap_kib": 1},
        {"ifmap_buffers": 1, "weight_buffers": 1, "ofmap_buffers": 1},
    ),
    "large": (
        Limits(max_kernel=11, max_pool=4095, max_stride=4, max_dilation=4, zero_point=True),
        {"pe_rows": 16, "pe_cols": 16, "pe_pixels": 8, "pack": 2, "axi_bits": 128},
        {"ifmap_kib": 1020, "weight_kib": 1020, "ofmap_kib": 4092},
        {},
    ),
}


@pytest.mark.parametrize("name", SIZES)
def test_an_engine_of_extreme_sizes_is_without_a_warning(tmp_path: Path, name: str) -> None:
    need_verilator()
    limits, array, buffers, halves = SIZES[name]
    accelerator = Accelerator(**array, **buffers, **halves, clock_mhz=100)
    render_engine(tmp_path, EngineShape(accelerator=accelerator, limits=limits))
    command = ["verilator", "--lint-only", "-Wall", f"-I{tmp_path / 'rtl'}", str(tmp_path / "rtl/engine_top.v")]
    done = subprocess.run([*command, "--top-module", "engine_top"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
