"""What a project says of itself for each implementation of the engine."""

import json
from pathlib import Path

import pytest
from support.boards.emitted_projects import emit_random_project
from support.verilog.engines import ENGINES
from support.verilog.simulated import need_verilator

from bitstreams.building.toolchain import run_rtlsim
from hw_templates.conv_engine.implementation import Implementation

ACCELERATOR = ENGINES["double buffers"].accelerator


def test_its_cycles_are_predicted_and_its_layers_stated_as_the_verilog_runs_them(tmp_path: Path) -> None:
    need_verilator()
    records = {}
    for implementation in Implementation:
        folder = tmp_path / implementation
        emit_random_project(folder, ACCELERATOR, seed=3, board_name="zcu104", implementation=implementation)
        records[implementation] = json.loads((folder / "project.json").read_text())
    hls, rtl = records[Implementation.HLS], records[Implementation.RTL]
    assert hls["program_sha256"] == rtl["program_sha256"]
    assert hls["layers"] == rtl["layers"]
    simulated = run_rtlsim(tmp_path / "rtl", 1)
    # The memory of the simulation has no limit, and that of the board hardly one for these layers.
    assert rtl["predicted"]["latency_ms"] * ACCELERATOR.clock_mhz * 1e3 == pytest.approx(simulated.cycles, rel=0.02)
    assert rtl["predicted"]["latency_ms"] != hls["predicted"]["latency_ms"]
    stated = [layer["compute_cycles"] for layer in rtl["layers"]]
    assert stated == [layer.compute_trips for layer in simulated.layers]
