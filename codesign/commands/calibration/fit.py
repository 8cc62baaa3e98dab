"""``codesign calibrate``: coefficients from measurements."""

import datetime
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from codesign.progress import Progress
from codesign.report.left_out import LeftOutRows, run_kind, run_label, write_left_out
from cost_models.calibration.engines import engine_model
from cost_models.calibration.engines.conv_engine import with_latency
from cost_models.calibration.fit import Fit, fit
from cost_models.calibration.record import Calibration, write_calibration
from cost_models.coefficients import Coefficients, load_coefficients, write_coefficients
from cost_models.measurements.engine_run import OWN_ENGINE
from cost_models.measurements.importers.chaidnn import read_chaidnn
from cost_models.measurements.importers.mlperf_tiny import read_mlperf_tiny
from cost_models.measurements.importers.ofa_dpu import read_ofa_dpu
from cost_models.measurements.importers.table import Tell
from cost_models.measurements.importers.vta_tophub import read_vta_tophub
from cost_models.measurements.measurement import Measurement, append_measurements, read_measurements
from hw_templates.foundation.errors import InvalidValueError, StorageError, UnknownNameError

MAX_ERROR = 0.5
"""Mean error on left-out runs above which a fit says nothing, as a share."""
# Wrong units are off by a thousand, and a run pulls the fit of its like towards itself.
_DOUBTED = 30

IMPORTERS: Mapping[str, Callable[[Path, Tell], tuple[Measurement, ...]]] = {
    "chaidnn": read_chaidnn,
    "mlperf-tiny": read_mlperf_tiny,
    "ofa-dpu": read_ofa_dpu,
    "vta-tophub": read_vta_tophub,
}


def import_table(kind: str, table: Path, out: Path, progress: Progress) -> None:
    """Write the rows of a published table as measurements.

    Raises:
        InvalidValueError: unknown kind of table.
        StorageError: the table cannot be read, a row of it is unsound, or ``out`` exists.
    """
    if kind not in IMPORTERS:
        raise UnknownNameError("kind", kind, IMPORTERS)
    if out.exists():
        raise StorageError(f"{out}: exists; choose another name, or fit to both files")
    runs = IMPORTERS[kind](table, progress.say)
    append_measurements(out, runs)
    progress.say(f"measurements   {out}: {len(runs)} runs")


def calibrate(measurements: Sequence[Path], out: Path, progress: Progress, max_error: float = MAX_ERROR) -> None:
    """Fit coefficients to measurements and write them into a folder.

    Args:
        measurements: files of them.
        out: folder for the coefficients.
        progress: what the user sees.
        max_error: largest mean error on left-out runs at which they are written, as a share.

    Raises:
        InvalidValueError: runs of several engines or of one without a model, too few, or not those of one such engine:
            one is faster than it can be, or those left out are off by more than ``max_error``.
        StorageError: a file cannot be read or written.
    """
    runs = read_measurements(measurements)
    model = engine_model(runs[0].engine)
    with progress.stage("fit") as update:
        result = fit(model, runs, lambda share: update(share, f"{len(runs)} runs of {model.engine}"))
    record = Calibration.of(out.name, result, runs, datetime.datetime.now(datetime.UTC).date().isoformat())
    _say_quality(record, result, runs, progress)
    if not record.quality.mean_error <= max_error:
        raise InvalidValueError(
            "mean error of left-out runs",
            float(f"{100 * record.quality.mean_error:.4g}"),
            f"at most {100 * max_error:g} % (--max-error) for coefficients to be written",
        )
    write_calibration(out, record)
    write_left_out(out, _left_out_rows(result, runs))
    if model.engine == OWN_ENGINE:
        write_coefficients(out, _own_coefficients(record, result, runs, str(out)))
    progress.say(f"coefficients   {out}")


def _say_quality(record: Calibration, result: Fit, runs: Sequence[Measurement], progress: Progress) -> None:
    """Say how well left-out runs are predicted, and what looks wrong with runs that are not."""
    quality = record.quality
    progress.say(f"runs           {quality.runs} of {record.engine} in {len(record.posterior.campaigns)} campaigns")
    progress.say(
        f"left out       mean error {quality.mean_error:.1%}, median {quality.median_error:.1%}, "
        f"within 10 % {quality.within_10_percent:.0%}"
    )
    for line in _doubts(result, runs):
        progress.say(line)


def _doubts(result: Fit, runs: Sequence[Measurement]) -> Iterator[str]:
    """What runs that no model error explains look like: times in another unit."""
    ratio = result.left_out.measured / result.left_out.predicted
    for far, times in ((ratio > _DOUBTED, "as long as"), (ratio < 1 / _DOUBTED, "of what")):
        if far.any():
            first = int(np.flatnonzero(far)[0])
            yield (
                f"doubtful       {far.sum()} of {len(runs)} runs take {np.median(ratio[far]):,.3g} times {times} the "
                f"others say, the first {run_label(runs[first])}: are these milliseconds?"
            )


def _left_out_rows(result: Fit, runs: Sequence[Measurement]) -> LeftOutRows:
    left_out = result.left_out
    theta = result.posterior.theta([run.campaign for run in runs])
    parts = result.model.bind(runs).parts(theta)
    total = sum(parts.values())
    clock = np.array([run.clock_mhz * 1e3 for run in runs])
    return LeftOutRows(
        labels=tuple(run_label(run) for run in runs),
        kinds=tuple(run_kind(run) for run in runs),
        campaigns=tuple(run.campaign for run in runs),
        measured_ms=left_out.measured / clock,
        predicted_ms=left_out.predicted / clock,
        deviations=left_out.deviation,
        shares={kind: cycles / total for kind, cycles in parts.items()},
    )


def _own_coefficients(record: Calibration, result: Fit, runs: Sequence[Measurement], name: str) -> Coefficients:
    """The engine's set as its newest campaign has it; energy and logic stay those of the prior."""
    newest = max(runs, key=lambda run: run.date or "")
    theta = record.posterior.theta([newest.campaign])[0]
    return replace(
        with_latency(load_coefficients(), theta),
        name=name,
        what=f"Latency fitted to {record.measurements} runs, as of the campaign {newest.campaign}; all else the prior.",
        source="; ".join(record.sources),
        date=record.date,
        board=newest.board,
        tool_versions=record.tool_versions,
        measurements=record.measurements,
        left_out_error=record.quality.mean_error,
        latency_factor=result.left_out.factor(newest.campaign),
        fitted_on=record.fitted_on,
    )
