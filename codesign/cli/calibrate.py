"""Commands that fit the cost model to measurements."""

from pathlib import Path
from typing import Annotated

import typer

from bitstreams.board.target import Via
from codesign.cli.console import session
from codesign.cli.group import group
from codesign.cli.options import BoardName, InsecureRemote, ReachedVia, StartTimeout, StoreFolder, Target
from codesign.run import choices

calibrate_app = group(name="calibrate", help="Fit coefficients to measurements, and say how well they predict.")

Measurements = Annotated[
    list[Path], typer.Option(help="File of measurements, one JSON object a line; give it again for each file.")
]
Out = Annotated[Path, typer.Option(help="Folder for the coefficients; its path is their name.")]


@calibrate_app.command("import")
def import_(
    context: typer.Context,
    kind: Annotated[choices.PublishedTable, typer.Argument(metavar="KIND", help="Which table it is.")],
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="The published table, a CSV file.")],
    out: Annotated[Path, typer.Option(help="File of measurements to write.")],
) -> None:
    """Turn a published table into measurements.

    Example: codesign calibrate import vta-tophub vta_tophub_conv.csv --out vta.jsonl
    """
    with session(context) as progress:
        from codesign.commands.calibration.fit import import_table as command

        command(kind, table, out, progress)


@calibrate_app.command()
def fit(
    context: typer.Context,
    measurements: Measurements,
    out: Out,
    max_error: Annotated[
        float, typer.Option(min=0, help="Largest mean error of left-out runs, in %; above it nothing is written.")
    ] = 50.0,
) -> None:
    """Fit coefficients to measurements of one engine, and predict every run by a fit that it was left out of.

    Example: codesign calibrate fit --measurements vta.jsonl --out calibrations/vta
    """
    with session(context) as progress:
        from codesign.commands.calibration.fit import calibrate as command

        command(measurements, out, progress, max_error / 100)


@calibrate_app.command()
def report(
    context: typer.Context, name: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder that fit wrote.")]
) -> None:
    """Draw a calibration as one HTML page with pictures.

    Example: codesign calibrate report calibrations/vta
    """
    with session(context) as progress:
        from codesign.commands.calibration.report import report as command

        command(str(name), progress)


@calibrate_app.command()
def plan(
    context: typer.Context,
    board: BoardName,
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
    with session(context) as progress:
        from codesign.commands.calibration.plan import plan as command

        command(board, budget, known, project, out, progress)


@calibrate_app.command()
def run(
    context: typer.Context,
    board: Target,
    plan: Annotated[Path, typer.Option(help="File of `codesign calibrate plan`.")],
    project: Annotated[Path, typer.Option(help="Emitted project of the engine, for example runs/digits/project.")],
    out: Annotated[Path, typer.Option(help="File of measurements, which is added to and never changed.")],
    via: ReachedVia = Via.SSH,
    repetitions: Annotated[
        int, typer.Option(min=1, help="How often each run is timed; a twin simulates it once.")
    ] = 20,
    timeout: StartTimeout = 10.0,
    insecure_remote: InsecureRemote = False,
    store: StoreFolder = None,
) -> None:
    """Measure a plan on one loaded bitstream. Stopped in whatever way, it goes on where it was.

    Example: codesign calibrate run --board pynq-z2@192.168.2.99 --plan plan.json --project my/project --out board.jsonl
    """
    with session(context) as progress:
        from bitstreams.board.target import parse_target
        from codesign.commands.calibration.run import CampaignRequest, measure_plan

        target = parse_target(board, via, insecure_remote)
        measure_plan(
            CampaignRequest(
                target=target,
                plan=plan,
                project=project,
                out=out,
                repetitions=repetitions,
                timeout_s=timeout,
                store=store,
            ),
            progress,
        )
