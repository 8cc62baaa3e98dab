"""What can be checked of an emitted engine without a board or a vendor's tools."""

from collections.abc import Sequence
from pathlib import Path

from bitstreams.building.synthesis import TRIED_YOSYS, count_blocks, yosys_version
from bitstreams.building.toolchain import run_csim, run_rtlsim
from bitstreams.hls_checks.checks import CHECKS, NotChecked
from bitstreams.hls_checks.compiler import LLVM_VERSION
from bitstreams.hls_checks.engine import check_engine
from bitstreams.hls_checks.text import HEADINGS, loop_rows
from codesign.emit.project import Design, check_program_files
from codesign.progress import Update
from codesign.run.implementation import read_project
from codesign.templates.engine.problem import EngineProblem
from codesign.templates.template import RESOURCE_NAMES, Check, EmittedPair, Finding
from cost_models.coefficients import MEMORY_LATENCY_CYCLES
from cost_models.engine.blocks import array_slices, engine_blocks
from cost_models.engine.cycles import program_cycles
from cost_models.engine.stages import MemoryTiming
from cost_models.resources import estimate_resources, excess
from cost_models.simulator import simulate
from hw_templates.board import Board
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.engine_shape import EngineShape
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.foundation.errors import MissingToolError, StorageError
from hw_templates.project.record import ProjectRecord
from hw_templates.project.render import render

MOST_CYCLES_OFF = 0.03
"""Largest share by which the stated cycles of a program may differ from those of its simulation."""


def engine_checks(emitted: EmittedPair, design: Design) -> Sequence[Check]:
    """Return the checks of an emitted engine.

    Args:
        emitted: the pair, whose problem is an :class:`EngineProblem`.
        design: the pair, quantised.

    Raises:
        StorageError: the project is not as it was emitted; names the file.
    """
    project, problem, accelerator = emitted.results.project, emitted.problem, emitted.pair.accelerator
    record = read_project(project)
    _check_unchanged(project, record, problem.joint.board)
    hls_view = Check(
        "what an HLS tool will see",
        f"LLVM IR of the C++ by clang {LLVM_VERSION}: " + "; ".join(CHECKS.values()),
        lambda _: _view(accelerator, problem.joint.board),
    )
    return (
        Check(
            "board",
            "resources that the cost model predicts, beside those of the board",
            lambda _: _fits(accelerator, problem.joint.board, record.implementation),
        ),
        Check(
            "C++",
            "g++ compiles it; all test images run through it, beside the integer reference and the stated counts",
            lambda update: _run_cpp(project, record.images, update),
        ),
        Check(
            "Verilog",
            "Verilator simulates it clock by clock; all test images run through it, beside the integer reference and "
            "the stated counts",
            lambda update: _run_verilog(project, record.images, update),
        ),
        Check(
            "cycles",
            f"an image through the Verilog, whose ports share no bandwidth, within {MOST_CYCLES_OFF:.0%} of the "
            "formulas for its program; beside them the prices of the search",
            lambda _: _cycles(emitted, design, record.implementation),
        ),
        Check(
            "yosys",
            "DSP slices and block memories of a 7-series device that the Verilog is mapped to, neither placed nor "
            "routed, which must be those that the cost model derives",
            lambda _: _count(accelerator, problem.joint.board),
        ),
        *((hls_view,) if record.implementation == Implementation.HLS else ()),
    )


def _check_unchanged(project: Path, record: ProjectRecord, board: Board) -> None:
    """Compare the sources of a project with those of its accelerator, and its programs with their digests."""
    sources = render(record.accelerator, board, implementation=record.implementation)
    for path, text in sources.items():
        if path.endswith(".md"):
            continue
        try:
            same = (project / path).read_text() == text
        except (OSError, ValueError) as error:
            raise StorageError(f"{project}: is no whole project ({error}); emit it again") from error
        if not same:
            raise StorageError(
                f"{project / path}: was changed after the project was emitted, or emitted by another version; "
                "emit it again"
            )
    check_program_files(project, record.program_sha256)


def _fits(accelerator: Accelerator, board: Board, implementation: Implementation) -> Finding:
    needed = estimate_resources(accelerator, board, implementation)
    figures = {name: float(getattr(needed, name)) for name in RESOURCE_NAMES if getattr(board, name)}
    used = (
        f"{figures[name]:,.0f} of {getattr(board, name):,} {RESOURCE_NAMES[name]}"
        f" ({figures[name] / getattr(board, name):.0%})"
        for name in figures
    )
    beyond = [name for name, count in excess(needed, board).items() if count > 0]
    return Finding(not beyond, f"{board.title}: {', '.join(used)}, predicted", figures)


def _run_cpp(project: Path, images: int, update: Update) -> Finding:
    result = run_csim(project, None, lambda done: update(done / images, f"{done} of {images} images"))
    return Finding(True, _agreement(result.images, len(result.layers)), {"images": result.images})


def _run_verilog(project: Path, images: int, update: Update) -> Finding:
    result = run_rtlsim(project, None, lambda done: update(done / images, f"{done} of {images} images"))
    assert result.cycles is not None
    return Finding(
        True,
        f"{_agreement(result.images, len(result.layers))}; {result.cycles:,} cycles an image",
        {"images": result.images, "cycles": result.cycles},
    )


def _agreement(images: int, layers: int) -> str:
    return f"{images} test images bit-exact, iterations, words and bursts of {layers} steps as stated"


def _cycles(emitted: EmittedPair, design: Design, implementation: Implementation) -> Finding:
    problem, accelerator, estimate = emitted.problem, design.accelerator, design.estimate
    assert isinstance(problem, EngineProblem)
    board, coefficients = problem.joint.board, problem.coefficients
    stated = program_cycles(design.compiled().compiled.steps, MemoryTiming(latency_cycles=MEMORY_LATENCY_CYCLES))[1]
    simulated = run_rtlsim(emitted.results.project, 1).cycles
    assert simulated is not None
    events = sum(simulate(layer, accelerator, board, coefficients).latency_cycles for layer in estimate.mapped)
    deviation = stated / simulated - 1
    return Finding(
        abs(deviation) <= MOST_CYCLES_OFF,
        f"{simulated:,} simulated, {stated:,} stated slot by slot ({deviation:+.2%}); the {implementation} engine on "
        f"{board.title} is priced at {estimate.latency_cycles:,.0f}, its layers played event by event at {events:,.0f}",
        {
            "simulated_cycles": simulated,
            "stated_cycles": stated,
            "priced_cycles": estimate.latency_cycles,
            "event_cycles": events,
        },
    )


def _count(accelerator: Accelerator, board: Board) -> Finding:
    shape = EngineShape(accelerator=accelerator, family=board.family)
    predicted = engine_blocks(shape)
    # A 7-series device takes two slices for a packed product of UltraScale+.
    twice = accelerator.pack == 2 and shape.field_bits == 18
    expected = (predicted.dsp + (array_slices(shape) if twice else 0), predicted.ramb18, predicted.ramb36)
    counted = count_blocks(render(accelerator, board))
    version = yosys_version()
    if counted != expected and version != TRIED_YOSYS:
        raise MissingToolError(
            f"{version} counts {counted} DSP slices and block memories in place of {expected}; what is derived was "
            f"tried with {TRIED_YOSYS} alone"
        )
    names = ("DSP slices", "block memories of 18 Kib", "block memories of 36 Kib")
    of_each = zip(counted, names, expected, strict=True)
    text = ", ".join(f"{found:,} {what} ({derived:,} derived)" for found, what, derived in of_each)
    return Finding(counted == expected, text, dict(zip(("dsp", "ramb18", "ramb36"), map(float, counted), strict=True)))


def _view(accelerator: Accelerator, board: Board) -> Finding:
    view = check_engine(EngineShape(accelerator=accelerator, family=board.family), board)
    if isinstance(view, NotChecked):
        raise MissingToolError(view.reason.removeprefix("not checked: "))
    slowest = max(loop.longest_ns for loop in view.loops)
    found = f"{len(view.findings)} found, the first: {view.findings[0]}" if view.findings else "all rules hold"
    return Finding(
        view.passed,
        f"{len(view.loops)} pipelined loops: {found}; the longest recurrence takes {slowest:.2f} of "
        f"{view.target.usable_ns:.2f} ns",
        {"loops": len(view.loops), "longest_recurrence_ns": slowest},
        (HEADINGS, *loop_rows(view)),
    )
