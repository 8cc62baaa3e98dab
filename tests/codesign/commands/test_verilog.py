"""A run that is searched for the engine in Verilog, through every command."""

import shutil
from pathlib import Path

import pytest
from support.json_file import read_json
from support.verilog.simulated import need_verilator

from codesign.cli.text.run import csim_lines, emit_lines
from codesign.commands.pairs import csim, emit
from codesign.commands.report import report
from codesign.commands.search import search
from codesign.progress import Silent
from codesign.run.folder import Run
from codesign.run.requests import EmitRequest, SearchRequest
from codesign.templates.template import Simulation
from cost_models.resources import check_fits
from hw_templates.board import load_board
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.foundation.errors import InvalidValueError, StorageError


def test_what_is_searched_for_the_verilog_is_emitted_simulated_and_reported_as_such(
    finished_run: Run, tmp_path: Path
) -> None:
    need_verilator()
    run = Run(Path(shutil.copytree(finished_run.folder, tmp_path / "run")))
    request = SearchRequest(pairs=5_000, implementation=Implementation.RTL)
    search(run, request, Silent(), baselines=False)
    with pytest.raises(StorageError, match=r"emitted\.json: of another search than digits-pynq-z2-.*-rtl-seed0"):
        report(run, Silent())
    lines = list(emit_lines(emit(run, EmitRequest(), Silent(), implementation="rtl")))
    assert any(line.endswith(", in Verilog") for line in lines)
    assert any("predicted for this program, slot by slot: " in line for line in lines)
    project = read_json(run.project / "project.json")
    assert project["implementation"] == "rtl"
    accelerator = Accelerator(**project["accelerator"])
    check_fits(accelerator, load_board("pynq-z2"), Implementation.RTL)

    simulated = csim(run, Silent(), Simulation(images=2))
    assert "simulated clock by clock" in list(csim_lines(simulated))[-1]
    predicted = project["predicted"]["latency_ms"] * accelerator.clock_mhz * 1e3
    assert simulated.record.cycles == pytest.approx(predicted, rel=0.03)
    page = report(run, Silent()).page.read_text()
    assert "2 test images ran through the engine, simulated clock by clock" in page
    assert f"predict {project['predicted']['latency_ms']:.4f} ms" in page
    assert "of channel-wise layers on its diagonal" in page

    search(run, SearchRequest(pairs=5_000), Silent(), baselines=False)
    with pytest.raises(InvalidValueError, match=r"implementation: must be hls, which .* was searched for; leave"):
        emit(run, EmitRequest(), Silent(), implementation="rtl")
    # The project is still that of the search before.
    assert read_json(run.project / "project.json") == project
