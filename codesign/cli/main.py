"""The command line. Everything heavy is imported by the command that needs it, so that help is instant."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from codesign import __version__
from codesign.cli.bitstreams import bitstreams_app, build, import_
from codesign.cli.boards import boards_app, deploy, twin
from codesign.cli.calibrate import calibrate_app
from codesign.cli.console import session
from codesign.cli.group import group, keep
from codesign.cli.options import BoardName, RunFolder, Seed, Storage, Template, Workers
from codesign.cli.supernet import fetch, supernet_app
from codesign.run import choices
from codesign.run.folder import Run
from hw_templates.foundation.errors import InvalidValueError

MaxLatency = Annotated[float | None, typer.Option(help="Take the most accurate pair within this.")]
MinAccuracy = Annotated[float | None, typer.Option(help="Take the fastest pair of at least this, 0 to 1.")]
Within = Annotated[
    float | None,
    typer.Option(help="Take the fastest pair within so many points (%) of the best accuracy.  [default: 1.0]"),
]
RuleName = Annotated[
    choices.WinnerRule | None,
    typer.Option("--rule", help="within: as --within says; knee: of the front in accuracy and latency."),
]


def train(
    context: typer.Context,
    run: RunFolder,
    space: Annotated[
        str | None, typer.Option(help="Space of subnets, by name or TOML file.  [default: digits, or as --start-from]")
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(help="Training schedule, by name or TOML file.  [default: the one called as the space]"),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder of images: train and test, as parquet or a folder for each class.")
    ] = None,
    subnet: Annotated[
        str | None, typer.Option(help="Train only this one: largest, smallest, or a JSON file such as project.json.")
    ] = None,
    start_from: Annotated[Path | None, typer.Option(help="Run whose supernet to start from.")] = None,
    seed: Seed = 0,
) -> None:
    """Train a supernet by progressive shrinking, or one subnet alone.

    Example: codesign train runs/cifar10 --space cifar10 --data cifar10_jpeg
    Example of 8 GPUs: torchrun --nproc-per-node 8 -m codesign train runs/imagenet --space ofa-mbv3-w1.2 --data images
    """
    # Of several processes that torchrun started, the first tells.
    with session(context, quiet=os.environ.get("RANK", "0") != "0") as progress:
        from codesign.cli.text.training import train_lines
        from codesign.commands.train import request_training
        from codesign.commands.train import train as command

        result = command(Run(run), request_training(space, preset, seed, data, subnet, start_from), progress)
        if result is not None:
            progress.show(result, train_lines)


def predictor(
    context: typer.Context,
    run: RunFolder,
    samples: Annotated[int, typer.Option(min=25, help="Subnets to measure, a fifth of them left out.")] = 300,
    seed: Seed = 0,
) -> None:
    """Measure subnets with shared weights and fit the accuracy predictor.

    Example: codesign predictor runs/digits --samples 300
    """
    with session(context) as progress:
        from codesign.cli.text.training import predictor_lines
        from codesign.commands.predictor import fit as command

        progress.show(command(Run(run), samples, seed, progress), predictor_lines)


def search(
    context: typer.Context,
    run: RunFolder,
    board: BoardName = "pynq-z2",
    pairs: Annotated[int, typer.Option(min=1, help="Pairs of subnet and accelerator to price.")] = 200_000,
    workers: Workers = 1,
    storage: Storage = None,
    baselines: Annotated[
        bool, typer.Option(help="Also search at random and sequentially, at equal budget; engine only.")
    ] = True,
    seed: Seed = 0,
    space: Annotated[
        str | None, typer.Option(help="Space of subnets, by name or TOML file; default: that of the run's supernet.")
    ] = None,
    accuracy: Annotated[
        choices.AccuracySource,
        typer.Option(help="Where accuracies come from: the run's predictor, its supernet, or a published predictor."),
    ] = choices.AccuracySource.PREDICTOR,
    coefficients: Annotated[
        str, typer.Option(help="Coefficients of the cost model: a folder of `codesign calibrate fit`, or prior.")
    ] = "prior",
    template: Template = choices.Template.ENGINE,
) -> None:
    """Search subnets and accelerators together for a board.

    Official predictors need no supernet: neither `train` nor `predictor` comes first.

    Example: codesign search runs/digits --board pynq-z2 --workers 2
    Example: codesign search runs/tiny --template hls4ml
    Example: codesign search runs/imagenet --space ofa-mbv3-w1.2 --accuracy official --board zcu104
    """
    with session(context) as progress:
        if template == choices.Template.HLS4ML:
            from codesign.commands.hls4ml.commands import DataflowRequest, search_dataflow

            _refuse_beside_hls4ml(workers=workers != 1, space=space is not None, coefficients=coefficients != "prior")
            search_dataflow(
                Run(run),
                DataflowRequest(board=board, pairs=pairs, storage=storage, seed=seed, accuracy=accuracy),
                progress,
            )
            return
        from codesign.commands.search import search as command
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
        )
        command(Run(run), request, baselines, progress)


def winner(
    context: typer.Context,
    run: RunFolder,
    max_latency_ms: MaxLatency = None,
    min_accuracy: MinAccuracy = None,
    within: Within = None,
    rule: RuleName = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the winner; write nothing.")] = False,
) -> None:
    """Choose the winning pair of the search as it stands, print it and write it to winner.json in the run folder.

    Without options it is the fastest pair within one point of the best accuracy; energy breaks ties. Nothing is
    measured: accuracies are measured ones where all compared pairs have them already, else predicted ones.

    Example: codesign winner runs/imagenet --max-latency-ms 25
    """
    with session(context) as progress:
        from codesign.commands.winner import winner as command

        command(
            Run(run), max_latency_ms, min_accuracy, progress, within=within, rule=rule and rule.value, dry_run=dry_run
        )


def emit(
    context: typer.Context,
    run: RunFolder,
    max_latency_ms: MaxLatency = None,
    min_accuracy: MinAccuracy = None,
    within: Within = None,
    rule: RuleName = None,
    template: Template = choices.Template.ENGINE,
) -> None:
    """Choose the winning pair, quantise it and write its HLS project.

    Without options the winner is the fastest pair within one point of the best accuracy; energy breaks ties.

    Example: codesign emit runs/digits --max-latency-ms 0.5
    Example: codesign emit runs/tiny --template hls4ml
    """
    with session(context) as progress:
        if template == choices.Template.HLS4ML:
            from codesign.commands.hls4ml.commands import emit_dataflow

            emit_dataflow(Run(run), max_latency_ms, min_accuracy, progress, within=within, rule=rule and rule.value)
            return
        from codesign.commands.emit import emit as command

        command(Run(run), max_latency_ms, min_accuracy, progress, within=within, rule=rule and rule.value)


def csim(
    context: typer.Context,
    run: RunFolder,
    sanitize: Annotated[bool, typer.Option(help="Under address and undefined-behaviour sanitizers.")] = False,
    images: Annotated[int | None, typer.Option(min=1, help="Only the first so many test images.")] = None,
    template: Template = choices.Template.ENGINE,
) -> None:
    """Compile the emitted project and compare it with the integer reference and the cost model.

    Example: codesign csim runs/digits
    Example: codesign csim runs/tiny --template hls4ml
    """
    with session(context) as progress:
        if template == choices.Template.HLS4ML:
            from codesign.commands.hls4ml.commands import csim_dataflow

            _refuse_beside_hls4ml(sanitize=sanitize)
            csim_dataflow(Run(run), images, progress)
            return
        from codesign.commands.csim import csim as command

        command(Run(run), sanitize, images, progress)


def report(context: typer.Context, run: RunFolder) -> None:
    """Draw the run as one HTML page with pictures.

    Example: codesign report runs/digits
    """
    with session(context) as progress:
        from codesign.commands.report import report as command

        command(Run(run), progress)


def demo(
    context: typer.Context,
    run: Annotated[Path, typer.Option(help="Folder of the run.")] = Path("runs/demo"),
    board: BoardName = "pynq-z2",
    small: Annotated[bool, typer.Option(help="A quick version that trains little and searches little.")] = False,
    workers: Workers = 1,
    seed: Seed = 0,
) -> None:
    """The main job, end to end: train, predict, search, emit, verify, report.

    Example: codesign demo
    """
    with session(context) as progress:
        from codesign.cli.text.training import predictor_lines, train_lines
        from codesign.commands.demo import FULL, SMALL
        from codesign.commands.demo import demo as command

        lines: dict[str, Callable[[Any], Iterator[str]]] = {"train": train_lines, "predictor": predictor_lines}
        for part, result in command(Run(run), board, SMALL if small else FULL, workers, seed, progress):
            progress.show(result, lines[part], part)


_ENGINE_ONLY = {
    "workers": "one process prices its pairs",
    "space": "it needs the run's own supernet, whose accuracies at fewer bits it measures",
    "coefficients": "its cost model has coefficients of its own",
    "sanitize": "hls4ml compiles its own way",
}


def _refuse_beside_hls4ml(**given: bool) -> None:
    """Refuse, with InvalidValueError, options that say nothing of dataflow accelerators."""
    for name, is_given in given.items():
        if is_given:
            raise InvalidValueError(name, "given", f"left out with --template hls4ml: {_ENGINE_ONLY[name]}")


app = group(
    name="codesign",
    help="Search once-for-all subnets and FPGA accelerators together, and emit the winning pair as an HLS project.",
)
# In the order in which a user meets them.
_PIPELINE = (train, predictor, search, winner, emit, csim, build, import_, deploy, report)
for _command in (*_PIPELINE, demo, fetch, twin):
    app.command(_command.__name__.rstrip("_"))(_command)
for _group in (boards_app, calibrate_app, bitstreams_app, supernet_app):
    app.add_typer(_group)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"codesign {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
    log_file: Annotated[
        Path | None,
        typer.Option(
            envvar="CODESIGN_LOG_FILE",
            help="Add all output to this file, with the time of day.",
            callback=keep,
            expose_value=False,
        ),
    ] = None,
) -> None:
    """What all commands share."""


def main() -> None:
    """Entry point of the ``codesign`` command."""
    # A reader that goes away, as `codesign boards | head` does, is no error.
    try:
        app()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
