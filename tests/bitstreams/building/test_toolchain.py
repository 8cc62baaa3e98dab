import os
import re
import shutil
import time
from dataclasses import astuple
from pathlib import Path

import pytest
from support.boards.emitted_projects import emit_random_project
from support.verilog.engines import ENGINES, simulation_of

from bitstreams.building.toolchain import (
    SimulationResult,
    build_csim,
    build_rtlsim,
    first_complaint,
    require_tools,
    run_csim,
    run_rtlsim,
)
from hw_templates.conv_engine import isa
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.program import read_program
from hw_templates.foundation.errors import ToolError, VerificationError

ACCELERATOR = Accelerator(
    pe_rows=8,
    pe_cols=8,
    pe_pixels=2,
    pack=1,
    ifmap_kib=8,
    weight_kib=8,
    ofmap_kib=8,
    axi_bits=64,
    clock_mhz=100,
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    emit_random_project(folder, ACCELERATOR, seed=0)
    build_csim(folder)
    return folder


def corrupt(path: Path, position: int) -> bytes:
    """Change one byte of a file and return its old content."""
    content = path.read_bytes()
    path.write_bytes(content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :])
    return content


def test_an_agreeing_project_passes_and_reports_what_was_counted(project: Path) -> None:
    told: list[int] = []
    result = run_csim(project, None, told.append)
    assert told == [1, 2]
    assert (result.images, result.cycles) == (2, None)
    assert counted(result) == stated(project)
    assert run_csim(project, images=1).images == 1


def counted(result: SimulationResult) -> list[tuple[int, ...]]:
    """The counts of each step, as a simulation prints them."""
    return [astuple(trips) for trips in result.layers]


def stated(project: Path) -> list[tuple[int, ...]]:
    """The counts of each step, as the emitter states them."""
    lines = [line.split() for line in (project / "program/stated.txt").read_text().splitlines()]
    return [tuple(map(int, words[1:5])) for words in lines if words[0] == "layer"]


def test_wrong_weights_are_found(project: Path) -> None:
    arena = project / "program/arena.bin"
    old = arena.read_bytes()
    begin = read_program(project).layer_count * isa.DESCRIPTOR_BYTES
    arena.write_bytes(old[:begin] + bytes(byte ^ 1 for byte in old[begin:]))
    with pytest.raises(VerificationError, match=r"csim disagrees: logits of 2 of 2 images .* counts of 0 of"):
        run_csim(project)
    arena.write_bytes(old)


def test_code_that_does_not_compile_is_reported(project: Path) -> None:
    source = project / "hls/store.cpp"
    old = source.read_text()
    source.write_text(old + "int unused(int x) { int y; return x; }\n")
    with pytest.raises(ToolError, match=r"make build/csim failed: .*error"):
        run_csim(project)
    source.write_text(old)


def test_a_missing_tool_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(os.environ, "PATH", str(tmp_path))
    with pytest.raises(ToolError, match=r"g\+\+: not found on the PATH; install it"):
        require_tools("g++")


@pytest.fixture(scope="module")
def verilog_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verilog_project")
    simulation = simulation_of("double buffers", tmp_path_factory)
    emit_random_project(folder, ENGINES["double buffers"].accelerator, seed=1, board_name="pynq-z2")
    (folder / "build").mkdir()
    # Newer than the sources, so that make leaves it as it is.
    shutil.copy(simulation, folder / "build/rtlsim")
    return folder


def test_verilog_that_agrees_passes_and_reports_what_was_counted(verilog_project: Path) -> None:
    told: list[int] = []
    result = run_rtlsim(verilog_project, None, told.append)
    assert told == [1, 2]
    assert result.images == 2
    assert counted(result) == stated(verilog_project)
    assert result.cycles is not None
    assert result.cycles_per_second is not None
    assert result.cycles > sum(t.compute_trips for t in result.layers)
    assert result.cycles_per_second > 0
    assert run_rtlsim(verilog_project, 1).images == 1


@pytest.mark.parametrize(
    ("name", "old", "new", "complaint"),
    [
        ("program.txt", "isa_version 5", "isa_version 4", "isa_version: this engine has 5, the program is made for 4"),
        ("program.txt", "pe_pixels 4", "pe_pixels 3", "pe_pixels: this engine has 4, the program is made for 3"),
        ("program.txt", "logits_count ", "logits ", "program.txt: logits_count is missing"),
        ("stated.txt", "port ofmap", "port other", "stated.txt: is not of this program"),
        ("stated.txt", "layer ", "layer x", "stated.txt: cannot read the line: layer x"),
    ],
)
def test_files_of_another_program_are_refused_before_the_engine_starts(
    verilog_project: Path, name: str, old: str, new: str, complaint: str
) -> None:
    path = verilog_project / "program" / name
    text = path.read_text()
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ToolError, match=f"rtlsim stopped with code 2: .*{complaint}"):
        run_rtlsim(verilog_project)
    path.write_text(text)


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        (
            isa.DESCRIPTOR.fields["in_height"][1],
            4096,
            r"layer 0 \(layer0\)\.in_height: the engine has 1 to 4095, got 4096",
        ),
        (
            isa.DESCRIPTOR.fields["pad_value"][1],
            -129,
            r"layer 0 \(layer0\)\.pad_value: the engine has -128 to 127, got -129",
        ),
        (
            isa.DESCRIPTOR.fields["ofmap_word"][1],
            -1,
            r"layer 0 \(layer0\)\.ofmap_word: the engine has 0 to 67108863, got -1",
        ),
    ],
)
def test_a_field_that_the_engine_cannot_hold_is_refused_before_it_starts(
    verilog_project: Path, field: int, value: int, complaint: str
) -> None:
    path = verilog_project / "program/arena.bin"
    content = path.read_bytes()
    path.write_bytes(content[:field] + value.to_bytes(4, "little", signed=True) + content[field + 4 :])
    with pytest.raises(ToolError, match=complaint):
        run_rtlsim(verilog_project)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "kept", "complaint"),
    [
        ("program/arena.bin", 0.5, r"arena\.bin: has \d+ bytes where program/program\.txt says \d+ to \d+"),
        ("program/golden.bin", 0.5, r"golden\.bin: has no logits of image 1"),
        ("program/images.bin", 0.4, r"images\.bin: holds 0 images of this program"),
    ],
)
def test_truncated_files_do_not_pass_the_simulation(
    verilog_project: Path, name: str, kept: float, complaint: str
) -> None:
    path = verilog_project / name
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(ToolError, match=complaint):
        run_rtlsim(verilog_project)
    path.write_bytes(content)


def test_a_wrong_logit_and_a_wrong_statement_are_found_on_verilog(verilog_project: Path) -> None:
    golden, stated = verilog_project / "program/golden.bin", verilog_project / "program/stated.txt"
    old, text = corrupt(golden, 0), stated.read_text()
    stated.write_text(re.sub(r"port ofmap (\d+)", r"port ofmap \g<1>1", re.sub(r"layer \d+", "layer 1", text, count=1)))
    with pytest.raises(
        VerificationError,
        match=r"logits of 1 of 2 .*counts of 1 of \d+ layers and of 1 of 4 ports from what the emitter",
    ):
        run_rtlsim(verilog_project)
    golden.write_bytes(old)
    stated.write_text(text)


def test_a_missing_verilator_is_named(verilog_project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for tool in ("make", "g++"):
        (tmp_path / tool).symlink_to(str(shutil.which(tool)))
    monkeypatch.setitem(os.environ, "PATH", str(tmp_path))
    with pytest.raises(ToolError, match=r"verilator: not found on the PATH; install it"):
        run_rtlsim(verilog_project)


@pytest.mark.parametrize("said", ["Verilator 4.038 2020-07-11 rev v4.036-114-g0cd4a57ad", "Verilator 5.004", "", "no"])
def test_a_verilator_that_is_not_supported_is_named(
    verilog_project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str
) -> None:
    (tmp_path / "verilator").write_text(f"#!/bin/sh\necho '{said}'\n")
    (tmp_path / "verilator").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    got = said or "no version"
    with pytest.raises(ToolError, match=rf"verilator: must be 5\.006 or newer, got '{got}' from verilator on the PATH"):
        run_rtlsim(verilog_project)


@pytest.fixture
def endless_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project, and a Verilator whose program says that an image has run, and then never ends."""
    tools, folder = tmp_path / "tools", tmp_path / "project"
    tools.mkdir()
    (tools / "verilator").write_text(
        "#!/bin/sh\n"
        'if [ "$1" = --version ]; then echo Verilator 5.006; exit; fi\n'
        "folder=build/verilated_rtlsim\n"
        "mkdir -p $folder\n"
        "printf '#!/bin/sh\\necho $$ > pid.txt\\necho run 0 cycles 7\\nexec sleep 600\\n' > $folder/rtlsim\n"
        "chmod +x $folder/rtlsim\n"
    )
    (tools / "verilator").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    emit_random_project(folder, ENGINES["double buffers"].accelerator, seed=1, board_name="pynq-z2")
    return folder


def test_a_simulation_that_is_interrupted_does_not_run_on(endless_project: Path) -> None:
    def interrupt(images: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_rtlsim(endless_project, None, interrupt)
    number = int((endless_project / "pid.txt").read_text())
    deadline = time.monotonic() + 10
    while is_running(number):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_running(process: int) -> bool:
    """Say whether a process has not ended, be it waited for or not."""
    status = Path(f"/proc/{process}/stat")
    return status.is_file() and status.read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_folder_that_verilator_cannot_build_in_is_named(endless_project: Path) -> None:
    spaced = endless_project.rename(endless_project.parent / "a project")
    with pytest.raises(ToolError, match=r"build/rtlsim failed: error: .* path has a space in its name: .*/a project"):
        build_rtlsim(spaced)


def test_the_first_complaint_is_what_a_tool_ended_for() -> None:
    compiled = "a.cpp: In function:\na.cpp:1: error: no x\nb.cpp:2: error: no y\n"
    assert first_complaint(compiled) == "a.cpp:1: error: no x"
    printed = "%Warning-WIDTH: rtl/a.v:3: 5 bits\n    : ... In instance\n%Error: Exiting due to 1 warning(s)\n"
    assert first_complaint(printed) == "%Warning-WIDTH: rtl/a.v:3: 5 bits"
    assert first_complaint("\nkilled\n") == "killed"
    assert first_complaint("") == "no output"
