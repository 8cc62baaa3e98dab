"""The Verilog as a process: its registers, its end, and what is left of it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bitstreams.board.timing import Timing
from bitstreams.twin.board import TwinBoard
from bitstreams.twin.memory import TwinMemory
from bitstreams.twin.simulated import SimulatedEngine, build_verilog
from cost_models.coefficients import load_coefficients
from hw_templates.board import load_board
from hw_templates.conv_engine import registers
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.foundation.errors import BoardError, InvalidValueError, StorageError

OFFSETS = {name: register.offset for name, register in registers.RTL_ENGINE.items()}


def simulated(project: Path) -> tuple[SimulatedEngine, TwinMemory]:
    memory, coefficients = TwinMemory(), load_coefficients(implementation=Implementation.RTL)
    return SimulatedEngine(build_verilog(project), memory, load_board("pynq-z2"), coefficients, lambda: 100.0), memory


@pytest.fixture
def engine(verilog_project: Path) -> Iterator[SimulatedEngine]:
    made, memory = simulated(verilog_project)
    made.reset()
    yield made
    made.stop()
    memory.close()


def test_registers_hold_what_was_written_until_the_engine_is_reset(engine: SimulatedEngine) -> None:
    for name, value in (("layer_count", 7), ("watchdog", 2**32 - 1), ("cycle_limit", 123)):
        engine.write(OFFSETS[name], value)
        assert engine.read(OFFSETS[name]) == value
        # Addresses beyond the engine's are its own again.
        assert engine.read(OFFSETS[name] + 0x80) == value
        engine.reset()
        assert engine.read(OFFSETS[name]) == 0


def test_done_is_read_once_and_a_program_that_is_none_is_an_error(engine: SimulatedEngine) -> None:
    assert engine.read(0) == registers.IDLE | registers.READY
    engine.write(0, registers.START)
    # It begins a cycle behind the write.
    while not engine.read(0) & registers.DONE:
        pass
    assert engine.read(0) & registers.DONE == 0
    assert engine.read(OFFSETS["status"]) & registers.STATUS_CODE == 5
    assert 0 < engine.read(OFFSETS["cycles"]) < 100


def test_a_simulation_that_has_ended_says_so_until_it_is_reset(engine: SimulatedEngine) -> None:
    assert engine._process is not None
    engine._process.kill()
    engine._process.wait()
    for _ in range(2):
        engine.write(OFFSETS["layer_count"], 1)
        with pytest.raises(BoardError, match="the engine's simulation has ended; configure it again"):
            engine.read(OFFSETS["layer_count"])
    engine.reset()
    assert engine.read(OFFSETS["layer_count"]) == 0


ALONE = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_simulated import simulated
engine, _ = simulated(Path(sys.argv[1]))
engine.reset()
print(engine._process.pid, flush=True)
time.sleep(600)
"""


def test_a_twin_that_is_killed_leaves_no_simulation_behind(verilog_project: Path) -> None:
    folder, root = Path(__file__).parent, Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": f"{root}:{root / 'tests/lib'}"}
    command = [sys.executable, "-c", ALONE, str(verilog_project), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as twin:
        assert twin.stdout is not None
        number = int(twin.stdout.readline())
        twin.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while Path(f"/proc/{number}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_twin_has_the_timing_of_its_implementation_and_says_which(zynq_project: Path, verilog_project: Path) -> None:
    for project, own, other in (
        (zynq_project, Timing.MODEL, Timing.RTL),
        (verilog_project, Timing.RTL, Timing.MODEL),
    ):
        implementation = Implementation.RTL if own is Timing.RTL else Implementation.HLS
        coefficients = load_coefficients(implementation=implementation)
        with pytest.raises(
            InvalidValueError, match=f"timing: must be {own} for a project whose implementation is {implementation}"
        ):
            TwinBoard(project, coefficients, other)
        board = TwinBoard(project, coefficients, own)
        board._configured = True
        identity = registers.ADDRESS_MAPS["zynq-7000"].identity
        assert board.read(identity + registers.offset_of("timing")) == own.code
        version = registers.REGISTER_MAPS[implementation].version
        assert board.read(identity + registers.offset_of("register_map")) == version
        board.close()


def test_a_project_whose_sources_were_changed_is_not_simulated(verilog_project: Path, tmp_path: Path) -> None:
    changed = Path(shutil.copytree(verilog_project, tmp_path / "changed", ignore=shutil.ignore_patterns("build")))
    guard = changed / "rtl/guard.v"
    guard.write_text(guard.read_text().replace("4'd7", "4'd0"))
    with pytest.raises(StorageError, match="a source was changed after it was emitted; emit it again"):
        build_verilog(changed)
