"""A build whose design is too slow for its clock, and the command that it says for the board's next slower one."""

import re
import shlex
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from support.boards.built_projects import installed
from support.boards.fake_vendor import FakeVendor, use
from typer.testing import CliRunner, Result

from bitstreams.building.script import check_sources
from bitstreams.store.store import Store
from codesign.cli.main import app
from codesign.commands.pairs import emit
from codesign.commands.search import search
from codesign.emit.project import check_program_files
from codesign.progress import Silent
from codesign.run.folder import Run, read_json
from codesign.run.requests import EmitRequest, SearchRequest
from codesign.run.searched import read_emitted
from codesign.templates.registry import load_template
from hw_templates.board import load_board
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.project.record import PROJECT_FILE, ProjectRecord
from hw_templates.project.render import render

BOARD = load_board("pynq-z2")
TOO_SLOW = "grep -qx 'set clock_mhz {}' tcl/hardware.tcl || export WNS=-0.5"
"""Misses timing at every other clock."""


def codesign(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def project_of(run: Run) -> ProjectRecord:
    return read_json(run.project / PROJECT_FILE, ProjectRecord)


@pytest.fixture(scope="module", params=Implementation)
def emitted(request: pytest.FixtureRequest, finished_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose project is of either implementation."""
    if request.param == Implementation.HLS:
        return finished_run
    run = Run(Path(shutil.copytree(finished_run.folder, tmp_path_factory.mktemp("rtl") / "run")))
    wanted = SearchRequest(board=BOARD.name, pairs=1_000, implementation=request.param)
    search(run, wanted, Silent(), baselines=False)
    emit(run, EmitRequest(), Silent())
    return run


@pytest.fixture
def run(emitted: Run, tmp_path: Path) -> Run:
    """A copy of it, in a folder whose name a shell would not leave as it is."""
    return Run(Path(shutil.copytree(emitted.folder, tmp_path / "run(1)")))


@pytest.fixture
def vendor(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeVendor:
    """Tools that build the run's engine for 75 MHz."""
    record = project_of(run)
    slowest = replace(record.accelerator, clock_mhz=75)
    tools = installed(tmp_path / "vendor", run.project)
    digest = render(slowest, BOARD, implementation=record.implementation)["hardware.sha256"].strip()
    tools.prepare(digest, BOARD, 75_000_000, record.implementation)
    use(monkeypatch, tools)
    return tools


def missed(done: Result) -> str:
    """The one line of a build that missed its timing."""
    assert done.exit_code == 2, done.output
    line = done.stderr.strip()
    assert "\n" not in line
    assert "timing: setup slack is -0.5 ns at" in line
    return line


def test_the_command_that_is_said_builds_for_the_next_slower_clock(
    run: Run, vendor: FakeVendor, tmp_path: Path
) -> None:
    vendor.install("vivado", "2023.2", TOO_SLOW.format(75))
    before, golden = project_of(run), (run.project / "program/golden.bin").read_bytes()
    store = tmp_path / "my store"
    done = codesign("build", run.folder, "--clock-mhz", "125", "--store", store)
    for clock_mhz, slower_mhz in ((125, 100), (100, 75)):
        line = missed(done)
        assert f"at {clock_mhz} MHz" in line
        said = re.search(r"run `codesign (.*)` for the next slower clock of pynq-z2$", line)
        assert said is not None, line
        assert f"--clock-mhz {slower_mhz}" in said[1]
        done = codesign(*shlex.split(said[1]))
    assert done.exit_code == 0, done.stderr
    (entry,) = Store(store).entries()
    after = project_of(run)
    assert after.accelerator == replace(before.accelerator, clock_mhz=75)
    assert after.hardware_sha256 == check_sources(run.project) == entry.bitstream.hardware_sha256
    assert entry.bitstream.clock_mhz == 75
    check_program_files(run.project, after.program_sha256)
    assert (run.project / "program/golden.bin").read_bytes() == golden
    assert (after.origin, after.implementation) == (before.origin, before.implementation)
    emitted = read_emitted(run, load_template("engine"))
    assert emitted.pair.accelerator == after.accelerator
    # A project of the Verilog is predicted by the formulas for its program, nearer than the search.
    near = 1e-9 if after.implementation == Implementation.HLS else 0.1
    assert emitted.problem.estimate(emitted.pair).latency_ms == pytest.approx(after.predicted.latency_ms, rel=near)
    assert f"| {after.predicted.latency_ms:.4f} ms (" in (run.project / "README.md").read_text()
    # The same command again finds all of it done.
    assert codesign(*shlex.split(said[1])).exit_code == 0
    assert vendor.ran[-1:] == ["vivado"]
    assert vendor.ran.count("vivado") == 3


def test_the_slowest_clock_has_no_slower_one(run: Run, vendor: FakeVendor, tmp_path: Path) -> None:
    vendor.install("vivado", "2023.2", "export WNS=-0.5")
    line = missed(codesign("build", run.folder, "--clock-mhz", "75", "--store", tmp_path / "store"))
    assert line.endswith("pynq-z2 has no clock below 75 MHz, so emit a pair with a smaller engine")


def test_a_bundle_is_of_the_clock_that_is_asked_for(run: Run) -> None:
    assert codesign("build", run.folder, "--bundle", "--clock-mhz", "100").exit_code == 0
    with tarfile.open(run.bundle) as tar:
        (hardware,) = (member for member in tar if member.name.endswith("tcl/hardware.tcl"))
        file = tar.extractfile(hardware)
        assert file is not None
        assert b"set clock_mhz 100\n" in file.read()


def test_a_clock_that_the_board_does_not_offer_changes_nothing(run: Run, vendor: FakeVendor) -> None:
    before = (run.project / PROJECT_FILE).read_bytes(), run.emitted.read_bytes()
    done = codesign("build", run.folder, "--clock-mhz", "90")
    assert done.exit_code == 2
    assert "--clock-mhz: must be one of 75, 100, 125, 150, those of pynq-z2, got 90" in done.stderr
    assert before == ((run.project / PROJECT_FILE).read_bytes(), run.emitted.read_bytes())
    assert vendor.ran == []
