"""Stages of the engine in C++ made into programs by g++, for tests; every value is held to its width as they run."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from support.verilog.simulated import render_engine, run

from hw_templates.conv_engine.engine_shape import EngineShape

# HLS pragmas mean nothing to g++, and labels are there to name loops in HLS reports.
FLAGS = ["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-Wno-unused-label"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


def run_bench(folder: Path, shape: EngineShape, bench: Path, stages: Sequence[str]) -> int:
    """Return how many values a test in C++ of stages of an engine compared; fail with what it prints if any differs.

    Args:
        folder: where the engine's parameters and the program go.
        shape: the engine.
        bench: source of the test; its folder may hold headers. The limits of layers are macros in it.
        stages: sources that it is compiled with, without their suffix.
    """
    render_engine(folder, shape)
    limits = [f"-D{name.upper()}={int(value)}" for name, value in vars(shape.limits).items() if name.startswith("max")]
    sources = [folder / f"hls/{stage}.cpp" for stage in stages]
    flags = [*FLAGS, *limits, f"-I{folder / 'hls'}", f"-I{bench.parent}"]
    return int(run(compiled(folder / bench.stem, [bench, *sources], flags)).split()[1])


def compiled(program: Path, sources: Sequence[Path], flags: Sequence[str]) -> Path:
    """Return a program that is made of its sources; fail with what the compiler says where it refuses them."""
    command = ["g++", *flags, *map(str, sources), "-o", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return program
