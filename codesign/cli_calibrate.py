"""Commands that fit the cost model to measurements."""

from pathlib import Path
from typing import Annotated

import typer

from codesign.cli_bitstreams import StoreFolder
from codesign.console import session

calibrate_app = typer.Typer(
    name="calibrate",
    help="Fit coefficients to measurements, and say how well they predict.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Measurements = Annotated[
    list[Path], typer.Option(help="File of measurements, one JSON object a line; give it again for each file.")
]
Out = Annotated[Path, typer.Option(help="Folder for the coefficients; its path is their name.")]


@calibrate_app.command("import")
def import_(
    kind: Annotated[str, typer.Argument(help="vta-tophub, ofa-dpu, mlperf-tiny or chaidnn.")],
    table: Annotated[Path, typer.Argument(help="The published table, a CSV file.")],
    out: Annotated[Path, typer.Option(help="File of measurements to write.")],
) -> None:
    """Turn a published table into measurements.

    Example: codesign calibrate import vta-tophub vta_tophub_conv.csv --out vta.jsonl
    """
    with session() as progress:
        from codesign.verbs.calibrate import import_table as verb

        verb(kind, table, out, progress)


@calibrate_app.command()
def fit(
    measurements: Measurements,
    out: Out,
    max_error: Annotated[
        float, typer.Option(min=0, help="Largest mean error of left-out runs, in %; above it nothing is written.")
    ] = 50.0,
) -> None:
    """Fit coefficients to measurements of one engine, and predict every run by a fit that it was left out of.

    Example: codesign calibrate fit --measurements vta.jsonl --out calibrations/vta
    """
    with session() as progress:
        from codesign.verbs.calibrate import calibrate as verb

        verb(measurements, out, progress, max_error / 100)


@calibrate_app.command()
def report(name: Annotated[Path, typer.Argument(help="Folder that fit wrote.")]) -> None:
    """Draw a calibration as one HTML page with pictures.

    Example: codesign calibrate report calibrations/vta
    """
    with session() as progress:
        from codesign.verbs.calibration_report import report as verb

        verb(str(name), progress)


@calibrate_app.command()
def plan(
    board: Annotated[str, typer.Option(help="Board to measure on; `codesign boards` lists them.")],
    budget: Annotated[int, typer.Option(min=1, help="Runs that can be afforded.")],
    out: Annotated[Path, typer.Option(help="File for the chosen layers and mappings.")] = Path("plan.json"),
    known: Annotated[str | None, typer.Option(help="Calibration to start from; default: the prior.")] = None,
    project: Annotated[
        Path | None,
        typer.Option(
            help="Emitted project of the engine to run it on; default: the largest sampled that fits the board."
        ),
    ] = None,
) -> None:
    """Choose the layers and mappings whose latencies would teach most about the coefficients.

    Example: codesign calibrate plan --board pynq-z2 --budget 60 --project runs/digits/project
    """
    with session() as progress:
        from codesign.verbs.calibration_plan import plan as verb

        verb(board, budget, known, project, out, progress)


@calibrate_app.command()
def run(
    board: Annotated[str, typer.Option(help="BOARD@[USER@]HOST[:PORT]; without a host: this board, or a twin here.")],
    plan: Annotated[Path, typer.Option(help="File of `codesign calibrate plan`.")],
    project: Annotated[Path, typer.Option(help="Emitted project of the engine, for example runs/digits/project.")],
    out: Annotated[Path, typer.Option(help="File of measurements, which is added to and never changed.")],
    via: Annotated[
        str,
        typer.Option(help="ssh: stock PYNQ; remote: PYNQ.remote; local: on the board itself; twin: the engine by g++."),
    ] = "ssh",
    repetitions: Annotated[
        int, typer.Option(min=1, help="How often each run is timed; a twin simulates it once.")
    ] = 20,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds that one start may take.")] = 10.0,
    insecure_remote: Annotated[
        bool, typer.Option("--insecure-remote", help="Reach PYNQ.remote, which has no password, beyond this machine.")
    ] = False,
    store: StoreFolder = None,
) -> None:
    """Measure a plan on one loaded bitstream. Stopped in whatever way, it goes on where it was.

    Example: codesign calibrate run --board pynq-z2@192.168.2.99 --plan plan.json --project my/project --out board.jsonl
    """
    with session() as progress:
        from codesign.verbs.calibration_run import CampaignRequest, measure_plan
        from codesign.verbs.reach import Reach

        reach = Reach.of(board, via, insecure_remote)
        measure_plan(CampaignRequest(reach, plan, project, out, repetitions, timeout, store), progress)
