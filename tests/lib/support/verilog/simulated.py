"""Verilog made into programs by Verilator, for tests."""

import shutil
import subprocess
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import pytest

from hw_templates.conv_engine.rtl_config import EngineShape

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
    need_verilator()
    flags = " ".join(["-std=c++17", "-O1", f"-I{TB}", *(f"-D{name}={value}" for name, value in macros.items())])
    arguments = [f"-G{name}={value}" for name, value in parameters.items()]
    return _build(folder, top, test, ["-Wall", *arguments], flags)


def build_engine(folder: Path, shape: EngineShape) -> Path:
    """Return the simulation of a whole engine."""
    need_verilator()
    folder.mkdir(parents=True)
    (folder / "engine_config.vh").write_text(shape.verilog())
    (folder / "engine_sizes.h").write_text(shape.cpp())
    flags = f"-std=c++17 -O1 -I{TB} -I{folder}"
    return _build(folder, "engine_top", TB / "rtlsim.cpp", ["-Wall", f"-I{folder}"], flags)


def _build(folder: Path, top: str, program: Path, arguments: list[str], flags: str) -> Path:
    command = ["verilator", "--cc", "--exe", "--build", "-O3", "--x-assign", "fast", "--noassert", f"-I{RTL}"]
    command += [*arguments, "--top-module", top, str(RTL / f"{top}.v"), str(program), "-Mdir", str(folder / "built")]
    command += ["-o", "simulation", "-CFLAGS", flags, "-MAKEFLAGS", "OPT_FAST=-O1 OPT_SLOW=-O0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "built/simulation"


def run(program: Path, *arguments: str) -> str:
    """Return what a simulation prints; fail with it where it does not end well."""
    done = subprocess.run([str(program), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{arguments}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout
