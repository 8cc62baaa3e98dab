"""Verilog made into programs by Verilator, for tests."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

import pytest

from bitstreams.building.toolchain import build_rtlsim
from hw_templates.board import load_board
from hw_templates.conv_engine.engine_shape import EngineShape
from hw_templates.project.render import render

ENGINE = Path(str(files("hw_templates").joinpath("conv_engine")))
RTL, TB = ENGINE / "rtl", ENGINE / "tb"


def need_verilator() -> None:
    """Skip the test where Verilator is missing."""
    if shutil.which("verilator") is None:
        pytest.skip("verilator is not on the PATH (Debian: apt-get install verilator)")


def build_block(
    folder: Path, top: str, test: Path, parameters: Mapping[str, int], macros: Mapping[str, int | str]
) -> Path:
    """Return the program of a test in C++ of one module; any warning of Verilator fails."""
    flags = [f"-I{TB}", *(f"-D{name}={value}" for name, value in macros.items())]
    arguments = [f"-G{name}={value}" for name, value in parameters.items()]
    return _build_test(folder, top, test, RTL, arguments, flags)


def build_engine(folder: Path, shape: EngineShape) -> Path:
    """Return the simulation of a whole engine, as an emitted project makes it; any warning of Verilator fails."""
    need_verilator()
    render_engine(folder, shape)
    return build_rtlsim(folder)


def build_engine_test(folder: Path, shape: EngineShape, test: Path) -> Path:
    """Return the program of a test in C++ of a whole engine; any warning of Verilator fails."""
    render_engine(folder, shape)
    return _build_test(folder, "engine_top", test, folder / "rtl", [], [f"-I{folder / 'tb'}"])


def render_engine(folder: Path, shape: EngineShape) -> None:
    """Write the project of an engine, its Verilog among it."""
    board = next(board for board in map(load_board, ("pynq-z2", "zcu104")) if board.family == shape.family)
    for path, text in render(shape.accelerator, board, shape.limits).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def _build_test(folder: Path, top: str, test: Path, rtl: Path, arguments: Sequence[str], flags: Sequence[str]) -> Path:
    need_verilator()
    command = ["verilator", "--cc", "--exe", "--build", "-Wall", "-O3", "--x-assign", "fast", "--noassert"]
    command += ["--output-split", "0", f"-I{rtl}", *arguments, "--top-module", top, str(rtl / f"{top}.v"), str(test)]
    command += ["-Mdir", str(folder / "built"), "-o", "simulation", "-CFLAGS", " ".join(["-std=c++17", "-O1", *flags])]
    command += ["-MAKEFLAGS", "OPT_FAST=-O1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "built/simulation"


def run(program: Path, *arguments: str) -> str:
    """Return what a simulation prints; fail with it where it does not end well."""
    done = subprocess.run([str(program), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{arguments}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout
