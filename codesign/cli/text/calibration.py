"""Text about measurements and calibrations."""

from collections.abc import Iterator
from pathlib import Path

from codesign.commands.calibration.fit import Fitted, ImportedTable
from codesign.commands.calibration.measure import MeasuredPlan
from codesign.commands.calibration.plan import PlannedRuns
from codesign.report.left_out import layers_label


def import_lines(result: ImportedTable) -> Iterator[str]:
    """Describe the rows of a table that were left out, and the file of the others."""
    for reason in result.left_out:
        yield f"left out       {reason}"
    yield f"measurements   {result.measurements}: {result.runs} runs"


def fit_lines(result: Fitted) -> Iterator[str]:
    """Describe how well left-out runs are predicted, and which measurements look wrong."""
    calibration, quality = result.calibration, result.calibration.quality
    yield f"runs           {quality.runs} of {calibration.engine} in {len(calibration.posterior.campaigns)} campaigns"
    yield (
        f"left out       mean error {quality.mean_error:.1%}, median {quality.median_error:.1%}, "
        f"within 10 % {quality.within_10_percent:.0%}"
    )
    for doubt in result.doubts:
        times = "as long as" if doubt.ratio > 1 else "of what"
        yield (
            f"doubtful       {doubt.runs} of {quality.runs} runs take {doubt.ratio:,.3g} times {times} the others say, "
            f"the first {doubt.first}: are these milliseconds?"
        )


def fitted_lines(folder: Path) -> Iterator[str]:
    """Name the folder of coefficients that were written."""
    yield f"coefficients   {folder}"


def plan_lines(result: PlannedRuns) -> Iterator[str]:
    """List the planned runs, with the uncertainty that is left after each."""
    first, *deviations = result.plan.deviations
    yield f"uncertainty of {result.candidates} candidates' latency: {first:.1%} before"
    for layers, deviation in zip(result.plan.runs, deviations, strict=True):
        tile = layers[0].mapping
        sizes = f"{tile.tile_out_channels}, {tile.tile_in_channels}, {tile.tile_height}x{tile.tile_width}"
        label, order = layers_label([ran.layer for ran in layers]), tile.loop_order.replace("_", " ")
        yield f"  {deviation:6.1%} after {label}; tile {sizes}, {order}"
    if result.sampled:
        yield (
            "           for the largest engine sampled that fits, of which there is no project yet: to measure, plan "
            "with the --project of the engine on the board"
        )


def planned_lines(file: Path) -> Iterator[str]:
    """Name the file of a plan."""
    yield f"plan       {file}"


def measured_lines(result: MeasuredPlan) -> Iterator[str]:
    """Count the runs of a plan that are measured and skipped."""
    skipped = f", {result.skipped} skipped ({result.failures} says why)" if result.skipped else ""
    yield f"           {result.measured} of {result.planned} runs are measured{skipped}"
    yield f"measurements  {result.measurements}"


def report_lines(page: Path) -> Iterator[str]:
    """Name the page of a report."""
    yield f"report     {page}"
