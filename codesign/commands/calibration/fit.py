"""``codesign calibrate import`` and ``fit``: measurements from published tables, coefficients from measurements."""

import datetime
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from codesign.progress import Progress
from codesign.report.left_out import LEFT_OUT, LeftOutRows, run_kind, run_label
from codesign.run.choices import PublishedTable
from codesign.run.implementation import parse_implementation
from cost_models.calibration.engines import engine_model
from cost_models.calibration.engines.conv_engine import with_latency
from cost_models.calibration.fit import Fit, fit
from cost_models.calibration.record import Calibration, write_calibration
from cost_models.coefficients import Coefficients, load_coefficients, write_coefficients
from cost_models.measurements.importers.chaidnn import read_chaidnn
from cost_models.measurements.importers.mlperf_tiny import read_mlperf_tiny
from cost_models.measurements.importers.ofa_dpu import read_ofa_dpu
from cost_models.measurements.importers.table import Tell
from cost_models.measurements.importers.vta_tophub import read_vta_tophub
from cost_models.measurements.measurement import OWN_ENGINES, Measurement, append_measurements
from hw_templates.board import board_name
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.foundation.errors import InvalidValueError, StorageError
from hw_templates.foundation.json_records import write_record

MAX_ERROR = 0.5
"""Mean error on left-out runs above which a fit predicts nothing, as a share."""
# Wrong units are off by a thousand, and each run pulls the fit of similar runs towards itself.
_DOUBTED = 30
IMPORTERS: Mapping[str, Callable[[Path, Tell], tuple[Measurement, ...]]] = {
    "chaidnn": read_chaidnn,
    "mlperf-tiny": read_mlperf_tiny,
    "ofa-dpu": read_ofa_dpu,
    "vta-tophub": read_vta_tophub,
}


@dataclass(frozen=True)
class ImportedTable:
    """A table that was imported.

    Attributes:
        measurements: the file that was written.
        runs: how many measurements it holds.
        left_out: for each reason, how many rows were left out and why.
    """

    measurements: Path
    runs: int
    left_out: tuple[str, ...]


def import_table(kind: PublishedTable, table: Path, out: Path) -> ImportedTable:
    """Write the rows of a published table as measurements.

    Raises:
        StorageError: the table cannot be read, a row of it is unsound, or ``out`` exists.
    """
    if out.exists():
        raise StorageError(f"{out}: exists; choose another name, or fit to both files")
    left_out: list[str] = []
    runs = IMPORTERS[kind](table, left_out.append)
    append_measurements(out, runs)
    return ImportedTable(out, len(runs), tuple(left_out))


@dataclass(frozen=True)
class Doubt:
    """Runs whose times differ from the others' by a factor that makes their unit doubtful.

    Attributes:
        runs: how many.
        ratio: median of their measured over predicted times.
        first: describes the first of them.
    """

    runs: int
    ratio: float
    first: str


@dataclass(frozen=True)
class Fitted:
    """Coefficients fitted to measurements.

    Attributes:
        calibration: the fit.
        left_out: every run as predicted by a fit without it.
        doubts: runs whose unit is doubtful.
        coefficients: the set that prices our engine; None for a foreign one.
    """

    calibration: Calibration
    left_out: LeftOutRows
    doubts: tuple[Doubt, ...]
    coefficients: Coefficients | None


def fit_measurements(
    runs: Sequence[Measurement], name: str, progress: Progress, *, implementation: str | None = None
) -> Fitted:
    """Fit coefficients to measurements of one engine, and predict every run by a fit without it.

    Args:
        runs: measured.
        name: of the calibration.
        progress: shows how the fit gets on.
        implementation: name of the engine's, which must be that of the runs; None for that one.

    Raises:
        InvalidValueError: runs of another implementation, of several engines or of one without a model, too few, or one
            that is faster than its engine can be.
    """
    if implementation is not None:
        _check_engine(runs, parse_implementation(implementation))
    model = engine_model(runs[0].engine)
    with progress.stage("fit") as update:
        result = fit(model, runs, lambda share: update(share, f"{len(runs)} runs of {model.engine}"))
    calibration = Calibration.of(name, result, runs, datetime.datetime.now(datetime.UTC).date().isoformat())
    left_out, campaigns = result.left_out, tuple(run.campaign for run in runs)
    parts = model.bind(runs).parts(result.posterior.theta(campaigns))
    total, clock = sum(parts.values()), np.array([run.clock_mhz * 1e3 for run in runs])
    rows = LeftOutRows(
        labels=tuple(map(run_label, runs)),
        kinds=tuple(map(run_kind, runs)),
        campaigns=campaigns,
        measured_ms=left_out.measured / clock,
        predicted_ms=left_out.predicted / clock,
        deviations=left_out.deviation,
        shares={kind: cycles / total for kind, cycles in parts.items()},
    )
    return Fitted(
        calibration,
        rows,
        tuple(_doubts(result, runs)),
        _own_coefficients(calibration, result, runs) if runs[0].is_own else None,
    )


def _check_engine(runs: Sequence[Measurement], implementation: Implementation) -> None:
    for run in runs:
        if run.engine != OWN_ENGINES[implementation]:
            own = [asked for asked, engine in OWN_ENGINES.items() if engine == run.engine]
            expected = f"{own[0] if own else 'left out'}, as runs of {run.engine} are given"
            raise InvalidValueError("implementation", str(implementation), expected)


def write_fit(folder: Path, fitted: Fitted, max_error: float = MAX_ERROR) -> Path:
    """Write a fit into a folder, whose path becomes the name of the coefficients.

    Args:
        folder: is made where there is none.
        fitted: the fit.
        max_error: largest mean error on left-out runs at which it is written, as a share.

    Raises:
        InvalidValueError: left-out runs are off by more than ``max_error``.
        StorageError: a file cannot be written.
    """
    error = fitted.calibration.quality.mean_error
    if not error <= max_error:
        expected = f"at most {100 * max_error:g} % (--max-error) for coefficients to be written"
        raise InvalidValueError("mean error of left-out runs", float(f"{100 * error:.4g}"), expected)
    write_calibration(folder, fitted.calibration)
    write_record(folder / LEFT_OUT, fitted.left_out, wide=True)
    if fitted.coefficients:
        write_coefficients(folder, replace(fitted.coefficients, name=str(folder)))
    return folder


def _doubts(result: Fit, runs: Sequence[Measurement]) -> Iterator[Doubt]:
    """Yield the runs whose times no model error explains: they look like times in another unit."""
    ratio = result.left_out.measured / result.left_out.predicted
    for far in (ratio > _DOUBTED, ratio < 1 / _DOUBTED):
        if far.any():
            first = runs[int(np.flatnonzero(far)[0])]
            yield Doubt(int(far.sum()), float(np.median(ratio[far])), run_label(first))


def _own_coefficients(calibration: Calibration, result: Fit, runs: Sequence[Measurement]) -> Coefficients:
    """Return our engine's set in its newest campaign; energy and logic stay those of the prior."""
    newest = max(runs, key=lambda run: run.date or "")
    implementation = next(own for own, engine in OWN_ENGINES.items() if engine == newest.engine)
    what = f"Latency fitted to {len(runs)} runs, as of the campaign {newest.campaign}; all else the prior."
    return replace(
        with_latency(load_coefficients("prior", implementation), result.posterior.theta([newest.campaign])[0]),
        name=calibration.name,
        what=what,
        source="; ".join(calibration.sources),
        date=calibration.date,
        board=board_name(newest.board),
        tool_versions=calibration.tool_versions,
        measurements=len(runs),
        left_out_error=calibration.quality.mean_error,
        latency_factor=result.left_out.factor(newest.campaign),
        fitted_on=calibration.fitted_on,
    )
