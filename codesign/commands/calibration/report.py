"""``codesign calibrate report``: one page on how well coefficients predict."""

from collections import Counter
from pathlib import Path

import numpy as np

from codesign.progress import Progress
from codesign.report.figures import bounds_figure, coverage_figure, prediction_figure, residual_figure
from codesign.report.left_out import LEFT_OUT, LeftOutRows
from codesign.report.page import Section, Table, render_page, write_page
from codesign.run.folder import read_json
from cost_models.calibration.engines import engine_model
from cost_models.calibration.fit import COVERAGE
from cost_models.calibration.record import Calibration, load_calibration


def report(name: str, progress: Progress) -> Path:
    """Draw a calibration into its own folder, and return the page.

    Raises:
        InvalidValueError: no such calibration.
        StorageError: a file of the fit cannot be read, or the page cannot be written.
    """
    with progress.stage("report") as update:
        calibration, folder = load_calibration(name), Path(name)
        rows, quality = read_json(folder / LEFT_OUT, LeftOutRows), calibration.quality
        pictures = {
            "prediction.png": prediction_figure(rows, quality.widths),
            "residuals.png": residual_figure(rows),
            "coverage.png": coverage_figure(rows),
            "bounds.png": bounds_figure(rows),
        }
        facts = {
            "mean error, left out": f"{quality.mean_error:.1%}",
            "median error, left out": f"{quality.median_error:.1%}",
            "within 10 %, left out": f"{quality.within_10_percent:.0%}",
            "runs": f"{calibration.measurements}",
            "campaigns": f"{len(calibration.posterior.campaigns)}",
        }
        subtitle = f"{calibration.engine} on {', '.join(calibration.boards)}; {'; '.join(calibration.sources)}"
        page = render_page(f"calibration: {calibration.name}", subtitle, facts, _sections(calibration, rows))
        return write_page(folder / "report", page, pictures, update)


def _sections(calibration: Calibration, rows: LeftOutRows) -> list[Section]:
    inside, campaigns, kinds = rows.inside(COVERAGE), np.array(rows.campaigns), list(rows.shares)
    coverage = tuple(
        (campaign, f"{own.sum()}", f"{np.abs(rows.errors[own]).mean():.1%}", f"{inside[own].mean():.0%}")
        for campaign, own in ((name, campaigns == name) for name in dict.fromkeys(rows.campaigns))
    )
    largest = Counter(kinds[index] for index in np.stack(list(rows.shares.values())).argmax(axis=0))
    bounds = ", ".join(f"{kind} in {count} runs" for kind, count in largest.most_common())
    posterior = calibration.posterior
    values = np.exp(posterior.theta(posterior.campaigns))
    factors = np.exp([np.sqrt(np.diag(posterior.uncertainty(campaign))) for campaign in posterior.campaigns])
    coefficients = tuple(
        (parameter.name, parameter.meaning, *map("{:.4g} times or over {:.2f}".format, of_campaigns, within))
        for parameter, of_campaigns, within in zip(
            engine_model(calibration.engine).parameters, values.T, factors.T, strict=True
        )
    )
    ranges = tuple(
        (name, *([f"{value:g}" for value in values if not isinstance(value, str)] or (", ".join(map(str, values)), "")))
        for name, values in calibration.fitted_on.items()
    )
    left_out = "left out a whole group at a time" if calibration.groups else "left out in at most ten parts"
    return [
        Section(
            "Predicted and measured",
            f"Every run is predicted by a fit without it ({left_out}). Bars are {COVERAGE:.0%} intervals: "
            "the uncertainty of the coefficients and the noise, widened until they cover that share of left-out runs.",
            "prediction.png",
        ),
        Section("Errors by kind of layer", "Predicted over measured, less one.", "residuals.png"),
        Section(
            "Coverage",
            "Share of left-out runs inside intervals made for a given share; the width of each is taken from the "
            "other runs.",
            "coverage.png",
            Table(("campaign", "runs", "mean error", f"inside {COVERAGE:.0%} interval"), coverage),
        ),
        Section(
            "Bounds of each run",
            "Visible time of each kind of term in the fit to all runs; time hidden behind something longer does not "
            f"count. Most of the time goes to: {bounds}.",
            "bounds.png",
        ),
        Section(
            "Coefficients",
            "Each with the factor within which it lies with two thirds probability. A factor as wide as before any "
            "measurement means that these runs do not determine it.",
            table=Table(("coefficient", "of", *posterior.campaigns), coefficients),
        ),
        Section(
            "Fitted on",
            f"Least and greatest value of each parameter; predictions beyond it warn. Newest run: {calibration.date}; "
            + ", ".join(f"{tool} {version}" for tool, version in calibration.tool_versions.items())
            + ".",
            table=Table(("parameter", "from", "to"), ranges),
        ),
    ]
