"""A winner whose engine is Verilog, on a twin that simulates it clock by clock."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from support.boards.engine_faults import FAULTS
from support.boards.twins import served
from support.json_file import read_json, write_json
from support.verilog.simulated import need_verilator

from bitstreams.board.driver import Engine
from bitstreams.board.target import parse_target
from bitstreams.twin.server import TwinServer
from bitstreams.twin.simulated import build_verilog
from codesign.cli.text.deploy import deploy_lines
from codesign.commands.deploy import deploy
from codesign.emit.network import IMAGES_FILE, PROGRAM_FILES
from codesign.progress import Silent
from codesign.run.folder import Run
from codesign.run.records import DeployRecord
from cost_models.measurements.measurement import read_measurements
from hw_templates.board import load_board
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.conv_engine.program import FOLDER, Program, read_program
from hw_templates.foundation.errors import BoardError, InvalidValueError, StorageError, ToolError
from hw_templates.foundation.lock import board_claim
from hw_templates.project.render import files_sha256, render

pytest.importorskip("pynq", reason="pynq is not installed: pip install --editable '.[board]'")
IMAGES = 6
RTL = "twin simulated at RTL"


@pytest.fixture(scope="module")
def made(finished_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The finished run as if its winner had been searched for the Verilog, with a few of its images."""
    need_verilator()
    run = Run(Path(shutil.copytree(finished_run.folder, tmp_path_factory.mktemp("verilog") / "run")))
    project, record = run.project, read_json(run.project / "project.json")
    for folder in ("tcl", "build"):
        shutil.rmtree(project / folder, ignore_errors=True)
    rendered = render(Accelerator(**record["accelerator"]), load_board("pynq-z2"), implementation=Implementation.RTL)
    for path, text in rendered.items():
        (project / path).parent.mkdir(exist_ok=True)
        (project / path).write_text(text)
    for path in (IMAGES_FILE, f"{FOLDER}/golden.bin"):
        content = (project / path).read_bytes()
        (project / path).write_bytes(content[: len(content) * IMAGES // record["images"]])
    record |= {"implementation": "rtl", "images": IMAGES, "hardware_sha256": rendered["hardware.sha256"].strip()}
    write_json(project / "project.json", record)
    seal(project)
    build_verilog(project)
    return run


def seal(project: Path) -> None:
    """Record the digest of the files as they are."""
    digest = files_sha256({path: (project / path).read_bytes() for path in PROGRAM_FILES})
    write_json(project / "project.json", read_json(project / "project.json") | {"program_sha256": digest})


@pytest.fixture
def run(made: Run, tmp_path: Path) -> Run:
    return Run(Path(shutil.copytree(made.folder, tmp_path / "run")))


@pytest.fixture(scope="module")
def server(made: Run) -> Iterator[TwinServer]:
    with served(made.project) as opened:
        yield opened


def deployed(run: Run, server: TwinServer, **wanted: object) -> DeployRecord:
    target = parse_target(f"pynq-z2@127.0.0.1:{server.port}", "remote")
    return deploy(run, target, None, Silent(), **{"repetitions": 2, **wanted})  # type: ignore[arg-type]


def test_logits_counts_and_cycles_come_from_the_verilog(run: Run) -> None:
    record = deploy(run, parse_target("pynq-z2", "twin"), None, Silent(), repetitions=2)
    assert (record.complete, record.source, record.images) == (True, RTL, IMAGES)
    assert record.cycles is not None
    assert record.latency_ms is not None
    assert record.latency_ms.p50 == pytest.approx(record.cycles / record.clock_mhz / 1e3)
    lines = list(deploy_lines(record))
    assert lines[0].startswith(f"deploy     pynq-z2 ({RTL}, 127.0.0.1:")
    assert "ms an image (simulated at RTL); predicted" in lines[2]
    (measured,) = read_measurements([run.measurements])
    assert measured.source == RTL
    layers = read_json(run.project / "project.json")["layers"]
    assert [json.loads(json.dumps(asdict(ran))) for ran in measured.mapped_layers] == [
        layer["mapped"] for layer in layers
    ]


@pytest.mark.parametrize("code", FAULTS)
def test_each_error_of_the_engine_is_one_line_and_the_next_deployment_succeeds(
    code: int, run: Run, server: TwinServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = Engine.load_program

    def spoiling(engine: Engine, program: Program) -> None:
        load(engine, program)
        FAULTS[code].cause(engine, monkeypatch)

    with monkeypatch.context() as patch:
        patch.setattr(Engine, "load_program", spoiling)
        ended = rf"of the program ended with error {code}, {FAULTS[code].message}; the board takes the next program"
        with pytest.raises(
            BoardError, match=rf"^127\.0\.0\.1:\d+: descriptor \d+ {ended} \(0 of {IMAGES} images ran, 0 right"
        ):
            deployed(run, server)
    monkeypatch.undo()
    error = read_json(run.deployment)["error"]
    assert f"error {code}, " in error
    assert "\n" not in error
    assert deployed(run, server).complete


def test_a_program_that_takes_longer_than_a_start_may_is_refused(run: Run, server: TwinServer) -> None:
    with pytest.raises(InvalidValueError, match=r"program\.iterations: must be at most 150, .* \(--timeout\), got \d+"):
        deployed(run, server, timeout_s=1e-6)


def test_the_engine_in_cpp_does_not_run_on_a_twin_of_the_verilog(
    finished_run: Run, run: Run, server: TwinServer, tmp_path: Path
) -> None:
    other = Run(Path(shutil.copytree(finished_run.folder, tmp_path / "other")))
    with pytest.raises(
        BoardError, match=r"refuses twin_\w+\.bit \(FPGA manager: write error\); build it for this board"
    ):
        deployed(other, server)
    with pytest.raises(InvalidValueError, match=r"implementation: must be rtl, which .* was emitted for"):
        deployed(run, server, implementation="hls")


def test_a_second_command_on_a_twin_is_refused(run: Run, server: TwinServer) -> None:
    address = f"127.0.0.1:{server.port}"
    with (
        board_claim(address),
        pytest.raises(StorageError, match=f"the board at {address} is in use by another process"),
    ):
        deployed(run, server)


def test_a_program_that_was_changed_is_refused_before_anything_is_reached(
    run: Run, server: TwinServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, program = run.project / FOLDER / "arena.bin", read_program(run.project)
    records = program.descriptors.copy()
    inside = int(np.flatnonzero(records["map_out"] == 0)[1])
    records["ofmap_word"][inside] = 0
    path.write_bytes(records.tobytes() + program.arena[records.nbytes :])
    with pytest.raises(StorageError, match="program: a file was changed after the project was emitted; emit it again"):
        deployed(run, server)
    seal(run.project)
    with pytest.raises(
        StorageError,
        match=rf"arena\.bin: program\.layers\[{inside}\]\.ofmap_word: must be .* lie in the maps.*; emit it again",
    ):
        deployed(run, server)


def test_a_twin_of_the_verilog_needs_verilator(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for tool in ("make", "g++"):
        (tmp_path / tool).symlink_to(str(shutil.which(tool)))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match=r"verilator: not found on the PATH; install it"):
        deploy(run, parse_target("pynq-z2", "twin"), None, Silent())
