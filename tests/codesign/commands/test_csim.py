import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.boards.emitted_projects import emit_random_project
from support.json_file import read_json, write_json
from support.verilog.engines import ENGINES
from support.verilog.simulated import need_verilator

from bitstreams.building.toolchain import SimulationResult
from codesign.commands.pairs import csim
from codesign.progress import Silent
from codesign.run.folder import Run
from codesign.templates.engine import template
from codesign.templates.template import Simulation
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.foundation.errors import InvalidValueError, StorageError


def test_the_record_is_of_the_project_and_holds_what_was_counted(finished_run: Run) -> None:
    record, project = read_json(finished_run.verification), read_json(finished_run.project / "project.json")
    assert record["program_sha256"] == project["program_sha256"]
    assert record["images"] == project["images"] == 359
    # A layer that runs in bands is counted band by band.
    counted = sum(layer["compute_trips"] for layer in record["layers"])
    assert counted == sum(layer["compute_cycles"] for layer in project["layers"])
    assert (record["implementation"], record["cycles"]) == ("hls", None)


def test_sanitizers_are_silent_on_the_winner(finished_run: Run, tmp_path: Path) -> None:
    run = Run(tmp_path)
    shutil.copytree(finished_run.project, run.project)
    csim(run, Silent(), Simulation(sanitize=True, images=2))
    record = read_json(run.verification)
    assert record["sanitized"] is True
    assert record["images"] == 2


def test_a_program_that_was_changed_is_not_recorded_as_verified(finished_run: Run, tmp_path: Path) -> None:
    run = Run(tmp_path)
    shutil.copytree(finished_run.project, run.project)
    arena = run.project / "program/arena.bin"
    arena.write_bytes(arena.read_bytes() + bytes(16))  # behind all that the engine reads
    with pytest.raises(StorageError, match="program: a file was changed after the project was emitted; emit it again"):
        csim(run, Silent(), Simulation(sanitize=False, images=2))
    assert not run.verification.exists()


@pytest.fixture
def rtl_run(finished_run: Run, tmp_path: Path) -> Run:
    """A run that holds the winner's project alone, as if it had been searched for the Verilog."""
    run = Run(tmp_path)
    shutil.copytree(finished_run.project, run.project)
    write_json(run.project / "project.json", {**read_json(run.project / "project.json"), "implementation": "rtl"})
    return run


def test_a_project_of_the_verilog_is_simulated_clock_by_clock(rtl_run: Run) -> None:
    need_verilator()
    run = rtl_run
    csim(run, Silent(), Simulation(images=2))
    record, project = read_json(run.verification), read_json(run.project / "project.json")
    assert record["implementation"] == "rtl"
    assert record["program_sha256"] == project["program_sha256"]
    assert record["images"] == 2
    assert record["cycles"] > sum(layer["compute_trips"] for layer in record["layers"])
    arena = run.project / "program/arena.bin"
    arena.write_bytes(arena.read_bytes() + bytes(16))
    with pytest.raises(StorageError, match="program: a file was changed after the project was emitted; emit it again"):
        csim(run, Silent(), Simulation(images=2, implementation="rtl"))


def test_another_implementation_than_the_projects_is_refused(finished_run: Run, rtl_run: Run) -> None:
    again = "leave it out, or search with --implementation {} and emit again, got '{}'"
    for run, own, other in ((finished_run, "hls", "rtl"), (rtl_run, "rtl", "hls")):
        words = re.escape(f"must be {own}, which {run.project} was emitted for; {again.format(other, other)}")
        with pytest.raises(InvalidValueError, match=f"^implementation: {words}$"):
            csim(run, Silent(), Simulation(images=2, implementation=other))
    with pytest.raises(InvalidValueError, match="implementation: must be one of hls, rtl, got 'vhdl'"):
        csim(finished_run, Silent(), Simulation(images=2, implementation="vhdl"))


def test_sanitizers_are_for_cpp(rtl_run: Run) -> None:
    with pytest.raises(InvalidValueError, match=r"sanitize: must be left out, as .* is of Verilog, which is no C"):
        csim(rtl_run, Silent(), Simulation(sanitize=True))


def test_a_project_of_version_1_of_the_engine_is_refused_with_what_to_do(rtl_run: Run) -> None:
    file = rtl_run.project / "project.json"
    write_json(file, {**read_json(file), "format": 1})
    with pytest.raises(StorageError, match=r"project\.format: must be 2, .*, got 1; .*`codesign emit .*` again"):
        csim(rtl_run, Silent(), Simulation())


@pytest.mark.parametrize(("images", "run_images"), [(None, 2), (1, 1), (9, 2)])
def test_more_images_than_there_are_are_all_of_them_on_verilog(
    images: int | None, run_images: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def simulated(project: Path, count: int, progress: Callable[[int], None]) -> SimulationResult:
        progress(count)
        return SimulationResult(images=count, layers=(), cycles=1, cycles_per_second=1.0)

    monkeypatch.setattr(template, "run_rtlsim", simulated)
    run = Run(tmp_path)
    accelerator = ENGINES["double buffers"].accelerator
    emit_random_project(run.project, accelerator, seed=1, board_name="pynq-z2", implementation=Implementation.RTL)
    assert csim(run, Silent(), Simulation(images=images)).record.images == run_images


def test_there_is_an_image() -> None:
    with pytest.raises(InvalidValueError, match="images: must be at least 1, or None for all, got 0"):
        Simulation(images=0)
