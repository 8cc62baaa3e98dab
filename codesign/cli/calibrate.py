"""Commands that fit the cost model to measurements."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from bitstreams.board.target import Via
from codesign.cli.console import ConsoleProgress, in_session
from codesign.cli.group import group
from codesign.cli.options import BoardName, InsecureRemote, ReachedVia, StartTimeout, StoreFolder, Target
from codesign.run import choices

calibrate_app = group(name="calibrate", help="Fit coefficients to measurements, and show how well they predict.")

Measurements = Annotated[
    list[Path], Option(help="File of measurements, one JSON object a line; give it again for each file.")
]
Out = Annotated[Path, Option(help="Folder for the coefficients; its path is their name.")]


@calibrate_app.command("import")
@in_session
def import_(
    console: ConsoleProgress,
    kind: Annotated[choices.PublishedTable, Argument(metavar="KIND", help="Kind of the table.")],
    table: Annotated[Path, Argument(metavar="TABLE", help="The published table, a CSV file.")],
    out: Annotated[Path, Option(help="File of measurements to write.")],
) -> None:
    """Turn a published table into measurements.

    Example: codesign calibrate import vta-tophub vta_tophub_conv.csv --out vta.jsonl
    """
    from codesign.cli.text.calibration import import_lines
    from codesign.commands.calibration.fit import import_table

    console.show(import_table(kind, table, out), import_lines)


@calibrate_app.command()
@in_session
def fit(
    console: ConsoleProgress,
    measurements: Measurements,
    out: Out,
    max_error: Annotated[
        float, Option(min=0, help="Largest mean error of left-out runs, in %; above it nothing is written.")
    ] = 50.0,
) -> None:
    """Fit coefficients to measurements of one engine, and predict every run by a fit without it.

    Example: codesign calibrate fit --measurements vta.jsonl --out calibrations/vta
    """
    from codesign.cli.text.calibration import fit_lines, fitted_lines
    from codesign.commands.calibration.fit import fit_measurements, write_fit
    from cost_models.measurements.measurement import read_measurements

    fitted = console.show(fit_measurements(read_measurements(measurements), out.name, console), fit_lines, part="fit")
    console.show(write_fit(out, fitted, max_error / 100), fitted_lines, part="coefficients")


@calibrate_app.command()
@in_session
def report(
    console: ConsoleProgress, name: Annotated[Path, Argument(metavar="FOLDER", help="Folder that fit wrote.")]
) -> None:
    """Draw a calibration as one HTML page with pictures.

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
    budget: Annotated[int, Option(min=1, help="Number of runs to choose.")],
    out: Annotated[Path, Option(help="File for the chosen layers and mappings.")] = Path("plan.json"),
    known: Annotated[str | None, Option(help="Calibration to start from; default: the prior.")] = None,
    project: Annotated[
        Path | None,
        Option(help="Emitted project of the engine to run it on; default: the largest sampled that fits the board."),
    ] = None,
) -> None:
    """Choose the layers and mappings whose latencies would teach most about the coefficients.

    Example: codesign calibrate plan --board pynq-z2 --budget 60 --project runs/digits/project
    """
    from codesign.cli.text.calibration import plan_lines, planned_lines
    from codesign.commands.calibration.plan import plan_runs
    from codesign.run.folder import read_json
    from cost_models.measurements.plan_file import write_plan
    from hw_templates.board import load_board
    from hw_templates.project.record import PROJECT_FILE, ProjectRecord

    accelerator = None if project is None else read_json(project / PROJECT_FILE, ProjectRecord).accelerator
    planned = plan_runs(load_board(board), budget, console, accelerator=accelerator, known=known)
    write_plan(out, planned.plan)
    console.show(planned, plan_lines, part="planned")
    console.show(out, planned_lines, part="plan")


@calibrate_app.command()
@in_session
def run(
    console: ConsoleProgress,
    board: Target,
    plan: Annotated[Path, Option(help="File of `codesign calibrate plan`.")],
    project: Annotated[Path, Option(help="Emitted project of the engine, for example runs/digits/project.")],
    out: Annotated[Path, Option(help="File of measurements; runs are only added to it.")],
    via: ReachedVia = Via.SSH,
    repetitions: Annotated[int, Option(min=1, help="Repetitions of each run; a twin simulates it once.")] = 20,
    timeout: StartTimeout = 10.0,
    insecure_remote: InsecureRemote = False,
    store: StoreFolder = None,
) -> None:
    """Measure a plan on one loaded bitstream. It resumes after any interruption.

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
    )
    console.show(measure_plan(request, console, console.say), measured_lines)
