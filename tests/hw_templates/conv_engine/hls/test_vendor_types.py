"""The engine in C++ with the integers of a vendor's header, and the test bench of its co-simulation."""

import re
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest
from support.boards.emitted_projects import emit_random_project
from support.engine_cpp import compiled
from support.verilog.engines import SMALLEST

HERE = Path(__file__).parent
FLAGS = ["-std=c++17", "-O1", "-DVENDOR_HEADERS", "-Wno-unknown-pragmas", "-Wno-unused-label"]


def test_a_co_simulation_would_be_bit_exact(tmp_path: Path) -> None:
    """hls4ml brings an `ap_int.h` that is AMD's; the port is a stand-in, so that words and bursts are not counted."""
    hls4ml = find_spec("hls4ml")
    if hls4ml is None or hls4ml.origin is None:
        pytest.skip("hls4ml is not installed: pip install --editable '.[hls4ml]'")
    integers = Path(hls4ml.origin).parent / "templates/vivado/ap_types"
    emit_random_project(tmp_path, SMALLEST.accelerator, seed=0, board_name="pynq-z2")
    folders = [f"-I{folder}" for folder in (HERE / "vendor", integers, tmp_path / "hls", tmp_path / "tb")]
    sources = [*sorted((tmp_path / "hls").glob("*.cpp")), tmp_path / "tb/csim.cpp"]
    program = compiled(tmp_path / "cosim", sources, [*FLAGS, *folders])
    arguments = re.search(r'cosim_design -argv "(.*)"', (tmp_path / "tcl/csynth.tcl").read_text())
    assert arguments is not None
    command = [str(program), *arguments[1].replace("$project", str(tmp_path)).split()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert re.search(r"^1 of 1 images, (\d+) of \1 layers and 0 of 0 ports agree$", done.stdout, re.MULTILINE)
    depths = re.findall(r"depth = (\d+)", (tmp_path / "hls/conv_engine.cpp").read_text())
    assert depths == [re.findall(r"DEPTH = (\d+)", (tmp_path / "tb/csim.cpp").read_text())[0]] * 4
