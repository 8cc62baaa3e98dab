"""The command line. Everything heavy is imported by the verb that needs it, so that help is instant."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from codesign.cli_bitstreams import bitstreams_app, build, import_
from codesign.cli_boards import deploy, twin
from codesign.cli_calibrate import calibrate_app
from codesign.console import session
from codesign.run import Run
from hw_templates.board import board_names, load_board
from hw_templates.errors import InvalidValueError

app = typer.Typer(
    name="codesign",
    help="Search once-for-all subnets and FPGA accelerators together, and emit the winning pair as an HLS project.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

RunFolder = Annotated[Path, typer.Argument(help="Folder of the run, for example runs/digits.")]
Seed = Annotated[int, typer.Option(min=0, help="Every random choice follows from it.")]
BoardName = Annotated[str, typer.Option(help="Board to search for; `codesign boards` lists them.")]
Workers = Annotated[int, typer.Option(min=1, help="Processes that search on the one study.")]
MaxLatency = Annotated[float | None, typer.Option(help="Take the most accurate pair within this.")]
MinAccuracy = Annotated[float | None, typer.Option(help="Take the fastest pair of at least this, 0 to 1.")]
Template = Annotated[str, typer.Option(help="engine, which runs any subnet, or hls4ml: a subnet's layers as hardware.")]
Storage = Annotated[str | None, typer.Option(help="Optuna storage URL; default: a journal file in the run folder.")]

supernet_app = typer.Typer(
    name="supernet",
    help="Spaces of subnets, and networks published in them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(supernet_app)
app.add_typer(bitstreams_app)
app.add_typer(calibrate_app)
app.command("build")(build)
app.command("import")(import_)
app.command("twin")(twin)
app.command("deploy")(deploy)


@app.command()
def train(
    run: RunFolder,
    space: Annotated[str | None, typer.Option(help="Space of subnets.  [default: digits, or as --start-from]")] = None,
    preset: Annotated[
        str | None, typer.Option(help="Training schedule.  [default: the one called as the space]")
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

    Several GPUs: torchrun --nproc-per-node 8 -m codesign train runs/imagenet --space ofa-mbv3-w1.2 ...

    Example: codesign train runs/cifar10 --space cifar10 --data cifar10_jpeg
    """
    with session() as progress:
        from codesign.verbs.train import request_training
        from codesign.verbs.train import train as verb

        verb(Run(run), request_training(space, preset, seed, data, subnet, start_from), progress)


@app.command()
def predictor(
    run: RunFolder,
    samples: Annotated[int, typer.Option(min=25, help="Subnets to measure, a fifth of them left out.")] = 300,
    seed: Seed = 0,
) -> None:
    """Measure subnets with shared weights and fit the accuracy predictor.

    Example: codesign predictor runs/digits --samples 300
    """
    with session() as progress:
        from codesign.verbs.predictor import fit as verb

        verb(Run(run), samples, seed, progress)


@app.command()
def search(
    run: RunFolder,
    board: BoardName = "pynq-z2",
    pairs: Annotated[int, typer.Option(min=1, help="Pairs of subnet and accelerator to price.")] = 200_000,
    workers: Workers = 1,
    storage: Storage = None,
    baselines: Annotated[
        bool, typer.Option(help="Also search at random and sequentially, at equal budget; engine only.")
    ] = True,
    seed: Seed = 0,
    space: Annotated[str | None, typer.Option(help="Space of subnets; default: that of the run's supernet.")] = None,
    accuracy: Annotated[
        str, typer.Option(help="Where accuracies come from: predictor (the run's), measured, or official.")
    ] = "predictor",
    coefficients: Annotated[
        str, typer.Option(help="Coefficients of the cost model: a folder of `codesign calibrate fit`, or prior.")
    ] = "prior",
    template: Template = "engine",
) -> None:
    """Search subnets and accelerators together for a board.

    Official predictors need no supernet: neither `train` nor `predictor` comes first.

    Example: codesign search runs/digits --board pynq-z2 --workers 2
    Example: codesign search runs/tiny --template hls4ml
    Example: codesign search runs/imagenet --space ofa-mbv3-w1.2 --accuracy official --board zcu104
    """
    with session() as progress:
        if _is_dataflow(template):
            from codesign.verbs.dataflow import DataflowRequest, search_dataflow

            _refuse_beside_hls4ml(workers=workers != 1, space=space is not None, coefficients=coefficients != "prior")
            search_dataflow(Run(run), DataflowRequest(board, pairs, storage, seed, accuracy), progress)
            return
        from codesign.verbs.context import SearchRequest
        from codesign.verbs.search import search as verb

        request = SearchRequest(board, pairs, workers, storage, seed, coefficients, space, accuracy)
        verb(Run(run), request, baselines, progress)


@app.command()
def winner(
    run: RunFolder,
    max_latency_ms: MaxLatency = None,
    min_accuracy: MinAccuracy = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the winner; write nothing.")] = False,
) -> None:
    """Choose the winning pair of the search as it stands, print it and write it to winner.json in the run folder.

    Nothing is measured for it.

    Without a limit the winner is the knee of the front: the pair nearest to the best of all three objectives.

    Example: codesign winner runs/imagenet --max-latency-ms 25
    """
    with session() as progress:
        from codesign.verbs.winner import winner as verb

        verb(Run(run), max_latency_ms, min_accuracy, progress, dry_run=dry_run)


@app.command()
def emit(
    run: RunFolder,
    max_latency_ms: MaxLatency = None,
    min_accuracy: MinAccuracy = None,
    template: Template = "engine",
) -> None:
    """Choose the winning pair, quantise it and write its HLS project.

    Without a limit the winner is the knee of the front: the pair nearest to the best of all three objectives.

    Example: codesign emit runs/digits --max-latency-ms 0.5
    Example: codesign emit runs/tiny --template hls4ml
    """
    with session() as progress:
        if _is_dataflow(template):
            from codesign.verbs.dataflow import emit_dataflow

            emit_dataflow(Run(run), max_latency_ms, min_accuracy, progress)
            return
        from codesign.verbs.emit import emit as verb

        verb(Run(run), max_latency_ms, min_accuracy, progress)


@app.command()
def csim(
    run: RunFolder,
    sanitize: Annotated[bool, typer.Option(help="Under address and undefined-behaviour sanitizers.")] = False,
    images: Annotated[int | None, typer.Option(min=1, help="Only the first so many test images.")] = None,
    template: Template = "engine",
) -> None:
    """Compile the emitted project and compare it with the integer reference and the cost model.

    Example: codesign csim runs/digits
    Example: codesign csim runs/tiny --template hls4ml
    """
    with session() as progress:
        if _is_dataflow(template):
            from codesign.verbs.dataflow import csim_dataflow

            _refuse_beside_hls4ml(sanitize=sanitize)
            csim_dataflow(Run(run), images, progress)
            return
        from codesign.verbs.csim import csim as verb

        verb(Run(run), sanitize, images, progress)


@app.command()
def report(run: RunFolder) -> None:
    """Draw the run as one HTML page with pictures.

    Example: codesign report runs/digits
    """
    with session() as progress:
        from codesign.verbs.report import report as verb

        verb(Run(run), progress)


@app.command()
def fetch(
    names: Annotated[list[str] | None, typer.Argument(help="Files or folders; --list shows them.")] = None,
    list_: Annotated[bool, typer.Option("--list", help="Only list what there is, and what is fetched.")] = False,
    folder: Annotated[
        Path | None, typer.Option(help="Where files are kept; default: CODESIGN_CACHE, or the user's cache.")
    ] = None,
) -> None:
    """Fetch published supernets, accuracy predictors and specialised networks from their public addresses.

    What broke off goes on where it stopped; every file is compared with its published digest.

    Example: codesign fetch acc_predictor.pth
    """
    with session() as progress:
        from codesign.verbs.fetch import bring, show

        (show if list_ else bring)(names or [], folder, progress)


@supernet_app.command()
def info(
    space: Annotated[str | None, typer.Argument(help="Name of a space; without one, all are listed.")] = None,
) -> None:
    """Say how many subnets a space holds, what varies in it, and what its smallest and largest subnet cost.

    Example: codesign supernet info ofa-mbv3-w1.2
    """
    with session() as progress:
        from codesign.verbs.supernet import info as verb

        verb(space, progress)


@supernet_app.command()
def specialised() -> None:
    """List the specialised networks that the authors of OFA published, with accuracies as reported."""
    with session() as progress:
        from codesign.verbs.supernet import specialised as verb

        verb(progress)


@supernet_app.command()
def export(
    source: Annotated[str, typer.Argument(help="A run folder, a published space, or a published specialised network.")],
    out: Annotated[Path, typer.Option(help="Folder for the files.")],
    file_format: Annotated[
        str, typer.Option("--format", help="torch, onnx, or ofa (net.config and weights).")
    ] = "torch",
    subnet: Annotated[
        str | None,
        typer.Option(help="largest, smallest, or a JSON file with a subnet; default: the winner of a run."),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="State dict of the published supernet; default: what was fetched.")
    ] = None,
) -> None:
    """Write a subnet as a network of its own: plain torch, ONNX, or as the ofa package reads it.

    Example: codesign supernet export runs/digits --format onnx --out winner
    """
    with session() as progress:
        from codesign.verbs.export import ExportRequest
        from codesign.verbs.export import export as verb

        verb(ExportRequest(source, subnet, weights, file_format), out, progress)


@app.command()
def boards() -> None:
    """List the boards and what they hold."""
    with session():
        table = Table(box=None)
        table.add_column("board", no_wrap=True)
        table.add_column("title", no_wrap=True)
        for heading in ("DSP", "BRAM18", "URAM", "LUT", "MHz", "DDR GB/s"):
            table.add_column(heading, justify="right", no_wrap=True)
        for name in board_names():
            b = load_board(name)
            counts = map(str, (b.dsp, b.bram_18k, b.uram, b.lut, b.clocks_mhz[-1]))
            table.add_row(name, b.title, *counts, f"{b.ddr.plan_gb_s} of {b.ddr.peak_gb_s}")
        Console().print(table)


@app.command()
def demo(
    run: Annotated[Path, typer.Option(help="Folder of the run.")] = Path("runs/demo"),
    board: BoardName = "pynq-z2",
    small: Annotated[bool, typer.Option(help="A quick version that trains little and searches little.")] = False,
    workers: Workers = 1,
    seed: Seed = 0,
) -> None:
    """The main job, end to end: train, predict, search, emit, verify, report.

    Example: codesign demo
    """
    with session() as progress:
        from codesign.verbs.demo import FULL, SMALL
        from codesign.verbs.demo import demo as verb

        verb(Run(run), board, SMALL if small else FULL, workers, seed, progress)


_ENGINE_ONLY = {
    "workers": "one process prices its pairs",
    "space": "it needs the run's own supernet, whose accuracies at fewer bits it measures",
    "coefficients": "its cost model has coefficients of its own",
    "sanitize": "hls4ml compiles its own way",
}


def _is_dataflow(template: str) -> bool:
    """Whether a template is hls4ml's.

    Raises:
        InvalidValueError: no such template.
    """
    if template not in ("engine", "hls4ml"):
        raise InvalidValueError("template", template, "engine or hls4ml")
    return template == "hls4ml"


def _refuse_beside_hls4ml(**given: bool) -> None:
    """Refuse, with InvalidValueError, options that say nothing of dataflow accelerators."""
    for name, is_given in given.items():
        if is_given:
            raise InvalidValueError(name, "given", f"left out with --template hls4ml: {_ENGINE_ONLY[name]}")


def main() -> None:
    """Entry point of the ``codesign`` command."""
    # A reader that goes away, as `codesign boards | head` does, is no error.
    try:
        app()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
