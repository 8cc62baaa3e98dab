"""The command line. Everything heavy is imported by the command that needs it, so that help is instant."""

import os
import sys
from pathlib import Path
from typing import Annotated

from typer import Exit, Option, echo

from codesign import __version__
from codesign.cli.boards import bitstreams_app, boards_app, build, deploy, import_, twin
from codesign.cli.calibrate import calibrate_app
from codesign.cli.console import ConsoleProgress, in_session
from codesign.cli.group import group, keep
from codesign.cli.options import (
    TEMPLATES,
    BoardName,
    Count,
    GivenImplementation,
    RunFolder,
    SearchedImplementation,
    Seed,
    Template,
    Workers,
)
from codesign.cli.supernet import fetch, supernet_app
from codesign.run.choices import DEFAULT_TEMPLATE, AccuracySource, WinnerRule
from codesign.run.folder import Run
from hw_templates.conv_engine.implementation import Implementation

MaxLatency = Annotated[float | None, Option(help="Take the most accurate pair within this.")]
MinAccuracy = Annotated[float | None, Option(help="Take the fastest pair of at least this, 0 to 1.")]
Within = Annotated[
    float | None,
    Option(help="Take the fastest pair within this many points (%) of the best accuracy.  [default: 1.0]"),
]
RuleName = Annotated[
    WinnerRule | None, Option(help="within: as --within says; knee: of the front in accuracy and latency.")
]


def train(
    console: ConsoleProgress,
    run: RunFolder,
    space: str | None = None,
    preset: str | None = None,
    data: Path | None = None,
    subnet: str | None = None,
    start_from: Path | None = None,
    seed: Seed = 0,
) -> None:
    """Train a supernet by progressive shrinking, or one subnet alone.

    Args:
        space: Space of subnets, by name or TOML file.  [default: digits, or as --start-from]
        preset: Training schedule, by name or TOML file.  [default: the one called as the space]
        data: Folder of images: train and test, as parquet or a folder for each class.
        subnet: Train only this one: largest, smallest, or a JSON file such as project.json.
        start_from: Run whose supernet to start from.

    Example: codesign train runs/cifar10 --space cifar10 --data cifar10_jpeg
    Example of 8 GPUs: torchrun --nproc-per-node 8 -m codesign train runs/imagenet --space ofa-mbv3-w1.2 --data images
    """
    from codesign.cli.text.run import train_lines
    from codesign.commands import training

    result = training.train(Run(run), training.request_training(space, preset, seed, data, subnet, start_from), console)
    if result:
        console.show(result, train_lines)


def predictor(
    console: ConsoleProgress,
    run: RunFolder,
    samples: Annotated[int, Option(min=25)] = 300,
    seed: Seed = 0,
) -> None:
    """Measure subnets with shared weights and fit the accuracy predictor.

    Args:
        samples: Subnets to measure, a fifth of them left out.

    Example: codesign predictor runs/digits --samples 300
    """
    from codesign.cli.text.run import predictor_lines
    from codesign.commands import training

    console.show(training.fit(Run(run), samples, seed, console), predictor_lines)


def search(
    console: ConsoleProgress,
    run: RunFolder,
    board: BoardName = "pynq-z2",
    pairs: Count = 200_000,
    workers: Workers = 1,
    storage: str | None = None,
    baselines: bool = True,
    seed: Seed = 0,
    space: str | None = None,
    accuracy: AccuracySource = AccuracySource.PREDICTOR,
    coefficients: str = "prior",
    implementation: SearchedImplementation = Implementation.HLS,
    template: Template = DEFAULT_TEMPLATE,
) -> None:
    """Search subnets and accelerators together for a board.

    Official predictors need no supernet: neither `train` nor `predictor` comes first.

    Args:
        pairs: Pairs of subnet and accelerator to price.
        storage: Optuna storage URL; default: a journal file in the run folder.
        baselines: Also search at random and sequentially, at equal budget, where the template can.
        space: Space of subnets, by name or TOML file; default: that of the run's supernet.
        accuracy: Where accuracies come from: the run's predictor, its supernet, or a published predictor.
        coefficients: Coefficients of the cost model: a folder of `codesign calibrate fit`, or prior.

    Example: codesign search runs/digits --board pynq-z2 --workers 2
    Example: codesign search runs/digits --implementation rtl
    Example: codesign search runs/tiny --template hls4ml
    Example: codesign search runs/imagenet --space ofa-mbv3-w1.2 --accuracy official --board zcu104
    """
    from codesign.cli.text.run import search_lines
    from codesign.commands import search
    from codesign.run.requests import SearchRequest

    request = SearchRequest(
        board=board,
        pairs=pairs,
        workers=workers,
        storage=storage,
        seed=seed,
        coefficients=coefficients,
        space=space,
        accuracy=accuracy,
        implementation=implementation,
    )
    console.show(search.search(Run(run), request, console, template=template, baselines=baselines), search_lines)


def winner(
    console: ConsoleProgress,
    run: RunFolder,
    max_latency_ms: MaxLatency = None,
    min_accuracy: MinAccuracy = None,
    within: Within = None,
    rule: RuleName = None,
    template: Template = DEFAULT_TEMPLATE,
    dry_run: Annotated[bool, Option("--dry-run")] = False,
) -> None:
    """Choose the winning pair of the search as it stands, print it and write it to winner.json in the run folder.

    Without options it is the fastest pair within one point of the best accuracy; energy breaks ties. Nothing is
    measured: accuracies are measured ones where all compared pairs have them already, else predicted ones.

    Args:
        dry_run: Only print the winner; write nothing.

    Example: codesign winner runs/imagenet --max-latency-ms 25
    """
    from codesign.cli.text.run import winner_lines
    from codesign.commands import pairs
    from codesign.run.requests import EmitRequest

    wanted = EmitRequest(
        max_latency_ms=max_latency_ms, min_accuracy=min_accuracy, within=within, rule=rule and rule.value
    )
    console.show(pairs.winner(Run(run), wanted, console, template=template, dry_run=dry_run), winner_lines)


def emit(
    console: ConsoleProgress,
    run: RunFolder,
    max_latency_ms: MaxLatency = None,
    min_accuracy: MinAccuracy = None,
    within: Within = None,
    rule: RuleName = None,
    implementation: GivenImplementation = None,
    template: Template = DEFAULT_TEMPLATE,
) -> None:
    """Choose the winning pair, quantise it and write its project.

    Without options the winner is the fastest pair within one point of the best accuracy; energy breaks ties.

    Example: codesign emit runs/digits --max-latency-ms 0.5
    Example: codesign emit runs/tiny --template hls4ml
    """
    from codesign.cli.text.run import emit_lines
    from codesign.commands import pairs
    from codesign.run.requests import EmitRequest

    wanted = EmitRequest(
        max_latency_ms=max_latency_ms, min_accuracy=min_accuracy, within=within, rule=rule and rule.value
    )
    emitted = pairs.emit(Run(run), wanted, console, template=template, implementation=implementation)
    console.show(emitted, emit_lines)


def csim(
    console: ConsoleProgress,
    run: RunFolder,
    sanitize: bool = False,
    images: Annotated[int | None, Option(min=1)] = None,
    implementation: GivenImplementation = None,
    template: Template = DEFAULT_TEMPLATE,
) -> None:
    """Simulate the emitted project and compare it with the integer reference and the stated counts.

    An engine in C++ is compiled by g++; one in Verilog is simulated clock by clock by Verilator.

    Args:
        sanitize: Under address and undefined-behaviour sanitizers, where the engine is C++.
        images: Only this many test images, the first.

    Example: codesign csim runs/digits
    Example: codesign csim runs/tiny --template hls4ml
    """
    from codesign.cli.text.run import csim_lines
    from codesign.commands import pairs
    from codesign.templates.template import Simulation

    simulation = Simulation(images=images, sanitize=sanitize, implementation=implementation)
    simulated = pairs.csim(Run(run), console, simulation, template=template)
    console.show(simulated, csim_lines)


def check(console: ConsoleProgress, run: RunFolder, template: Template = DEFAULT_TEMPLATE) -> None:
    """Check the emitted project as far as that can be done without a board or a vendor's tools.

    A check whose tool is not installed is reported as not checked. What passed is not checked again until the project
    changes. The command fails where a check does.

    Example: codesign check runs/digits
    """
    from codesign.cli.text.run import check_lines
    from codesign.commands import check

    result = check.check(Run(run), console, template=template)
    console.show(result, check_lines)
    result.require()


def report(
    console: ConsoleProgress, run: RunFolder, template: Annotated[str | None, Option(metavar=TEMPLATES)] = None
) -> None:
    """Draw the run as one HTML page with pictures.

    Args:
        template: Kind of hardware.  [default: the one that was searched]

    Example: codesign report runs/digits
    """
    from codesign.cli.text.run import report_lines
    from codesign.commands import report

    console.show(report.report(Run(run), console, template=template), report_lines)


def demo(
    console: ConsoleProgress,
    run: Path = Path("runs/demo"),
    board: BoardName = "pynq-z2",
    template: Template = DEFAULT_TEMPLATE,
    small: bool = False,
    workers: Workers = 1,
    seed: Seed = 0,
) -> None:
    """The main job, end to end: train, predict, search, emit, verify, report.

    Args:
        run: Folder of the run.
        small: A quick version that trains little and searches little.

    Example: codesign demo
    """
    from codesign.cli.text import run as text
    from codesign.commands import demo

    scale = demo.SMALL if small else demo.FULL
    for part, result in demo.demo(
        Run(run), console, board=board, scale=scale, workers=workers, seed=seed, template=template
    ):
        console.show(result, getattr(text, f"{part}_lines"), part)


app = group(
    name="codesign",
    help="Search once-for-all subnets and FPGA accelerators together, and emit the winning pair as an FPGA project.",
)
# In the order in which a user meets them.
_PIPELINE = (train, predictor, search, winner, emit, csim, check, build, import_, deploy, report)
for _command in (*_PIPELINE, demo, fetch, twin):
    app.command(_command.__name__.rstrip("_"))(in_session(_command))
for _group in (boards_app, calibrate_app, bitstreams_app, supernet_app):
    app.add_typer(_group)


def _show_version(wanted: bool) -> None:
    if wanted:
        echo(f"codesign {__version__}")
        raise Exit


@app.callback()
def _options(
    version: Annotated[
        bool, Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
    log_file: Annotated[
        Path | None,
        Option(
            envvar="CODESIGN_LOG_FILE",
            help="Add all output to this file, with the time of day.",
            callback=keep,
            expose_value=False,
        ),
    ] = None,
) -> None:
    """Take the options that all commands share."""


def main() -> None:
    """Entry point of the ``codesign`` command."""
    # A reader that goes away, as `codesign boards | head` does, is no error.
    try:
        app()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
