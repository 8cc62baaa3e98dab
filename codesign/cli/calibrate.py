"""Commands that fit the cost model to measurements."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from bitstreams.board.target import Via
from codesign.cli.console import ConsoleProgress, in_session
from codesign.cli.group import group
from codesign.cli.options import (
    BoardName,
    Count,
    GivenImplementation,
    InsecureRemote,
    NamedPath,
    ReachedVia,
    StartTimeout,
    StoreFolder,
    Target,
)
from codesign.run.choices import PublishedTable

calibrate_app = group(name="calibrate", help="Fit coefficients to measurements, and show how well they predict.")


@calibrate_app.command("import")
@in_session
def import_(
    console: ConsoleProgress,
    kind: Annotated[PublishedTable, Argument(metavar="KIND")],
    table: Annotated[Path, Argument(metavar="TABLE")],
    out: NamedPath,
) -> None:
    """Turn a published table into measurements.

    Args:
        kind: Kind of the table.
        table: The published table, a CSV file.
        out: File of measurements to write.

    Example: codesign calibrate import vta-tophub vta_tophub_conv.csv --out vta.jsonl
    """
    from codesign.cli.text.calibration import import_lines
    from codesign.commands.calibration.fit import import_table

    console.show(import_table(kind, table, out), import_lines)


@calibrate_app.command()
@in_session
def fit(
    console: ConsoleProgress,
    measurements: Annotated[list[Path], Option()],
    out: NamedPath,
    max_error: Annotated[float, Option(min=0)] = 50.0,
    implementation: GivenImplementation = None,
) -> None:
    """Fit coefficients to measurements of one engine, and predict every run by a fit without it.

    Args:
        measurements: File of measurements, one JSON object a line; give it again for each file.
        out: Folder for the coefficients; its path is their name.
        max_error: Largest mean error of left-out runs, in %; above it nothing is written.

    Example: codesign calibrate fit --measurements vta.jsonl --out calibrations/vta
    """
    from codesign.cli.text.calibration import fit_lines, fitted_lines
    from codesign.commands.calibration.fit import fit_measurements, write_fit
    from cost_models.measurements.measurement import read_measurements

    runs = read_measurements(measurements)
    result = fit_measurements(runs, out.name, console, implementation=implementation)
    fitted = console.show(result, fit_lines, part="fit")
    console.show(write_fit(out, fitted, max_error / 100), fitted_lines, part="coefficients")


@calibrate_app.command()
@in_session
def report(console: ConsoleProgress, name: Annotated[Path, Argument(metavar="FOLDER")]) -> None:
    """Draw a calibration as one HTML page with pictures.

    Args:
        name: Folder that fit wrote.

    Example: codesign calibrate report calibrations/vta
    """
    from codesign.cli.text.calibration import report_lines
    from codesign.commands.calibration import report

    console.show(report.report(str(name), console), report_lines)


@calibrate_app.command()
@in_session
def plan(
    console: ConsoleProgress,
    board: BoardName,
    budget: Count,
    out: Path = Path("plan.json"),
    known: str | None = None,
    project: Path | None = None,
    implementation: GivenImplementation = None,
) -> None:
    """Choose the layers and mappings whose latencies would teach most about the coefficients.

    Args:
        budget: Number of runs to choose.
        out: File for the chosen layers and mappings.
        known: Calibration to start from; default: the prior.
        project: Emitted project of the engine to run it on; default: the largest sampled that fits the board.

    Example: codesign calibrate plan --board pynq-z2 --budget 60 --project runs/digits/project
    """
    from codesign.cli.text.calibration import plan_lines, planned_lines
    from codesign.commands.calibration.plan import plan_for
    from cost_models.measurements.measurement import write_plan
    from hw_templates.board import load_board

    planned = plan_for(load_board(board), budget, console, project=project, known=known, implementation=implementation)
    write_plan(out, planned.plan)
    console.show(planned, plan_lines, part="planned")
    console.show(out, planned_lines, part="plan")


@calibrate_app.command()
@in_session
def run(
    console: ConsoleProgress,
    board: Target,
    plan: NamedPath,
    project: NamedPath,
    out: NamedPath,
    via: ReachedVia = Via.SSH,
    repetitions: Count = 20,
    timeout: StartTimeout = 10.0,
    insecure_remote: InsecureRemote = False,
    implementation: GivenImplementation = None,
    store: StoreFolder = None,
) -> None:
    """Measure a plan on one loaded bitstream. It resumes after any interruption.

    Args:
        plan: File of `codesign calibrate plan`.
        project: Emitted project of the engine, for example runs/digits/project.
        out: File of measurements; runs are only added to it.
        repetitions: Repetitions of each run; a twin simulates it once.

    Example: codesign calibrate run --board pynq-z2@192.168.2.99 --plan plan.json --project my/project --out board.jsonl
    """
    from bitstreams.board.target import parse_target
    from codesign.cli.text.calibration import measured_lines
    from codesign.commands.calibration.measure import CampaignRequest, measure_plan

    request = CampaignRequest(
        target=parse_target(board, via, insecure_remote),
        plan=plan,
        project=project,
        out=out,
        repetitions=repetitions,
        timeout_s=timeout,
        store=store,
        implementation=implementation,
    )
    console.show(measure_plan(request, console, console.say), measured_lines)
