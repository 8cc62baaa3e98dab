"""Calibration of the cost model: choose runs, measure them, fit coefficients, predict latencies."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bitstreams.board.target import parse_target
from codesign.commands.calibration.fit import MAX_ERROR, fit_measurements, write_fit
from codesign.commands.calibration.measure import CampaignRequest, measure_plan
from codesign.commands.calibration.plan import plan_for
from codesign.progress import Progress, Silent
from cost_models.calibration.record import Calibration, load_calibration
from cost_models.measurements.measurement import EngineRun, Measurement, RunPlan, read_measurements, write_plan
from hw_templates.board import load_board
from hw_templates.foundation.arrays import FloatArray


def plan(
    board: str,
    budget: int,
    file: str | Path,
    *,
    project: str | Path | None = None,
    known: str | None = None,
    implementation: str | None = None,
    progress: Progress | None = None,
) -> RunPlan:
    """Choose the layers and mappings whose latencies would teach most about the coefficients, and write them.

    Args:
        board: the board to measure on.
        budget: number of runs.
        file: where the plan is written.
        project: emitted project whose engine is on the board; by default the largest engine sampled that fits it.
        known: folder or name of a calibration to start from; by default the prior.
        implementation: of the engine, ``hls`` or ``rtl``; by default that of the project, or ``hls`` without one.
        progress: shows progress.

    Raises:
        InvalidValueError: unknown board or calibration, a project of another implementation, or more runs than
            candidates.
        StorageError: a file cannot be read or written.
    """
    planned = plan_for(
        load_board(board),
        budget,
        progress or Silent(),
        project=None if project is None else Path(project),
        known=known,
        implementation=implementation,
    )
    write_plan(Path(file), planned.plan)
    return planned.plan


def measure(
    board: str,
    plan: str | Path,
    project: str | Path,
    file: str | Path,
    *,
    via: str = "ssh",
    repetitions: int = 20,
    timeout_s: float = 10.0,
    progress: Progress | None = None,
) -> tuple[Measurement, ...]:
    """Measure the runs of a plan on a board; a later call measures those that are missing.

    Args:
        board: ``BOARD@HOST``, or the name of a board alone with ``via="twin"``.
        plan: file that :func:`plan` wrote.
        project: emitted project of the engine on the board.
        file: measurements, one JSON object a line, which is only added to.
        via: ``ssh``, ``remote`` (PYNQ.remote), ``local``, or ``twin`` for the emitted engine compiled with g++.
        repetitions: how often each run is timed.
        timeout_s: limit for one start of the engine.
        progress: shows progress.

    Returns:
        All measurements of the file.

    Raises:
        InvalidValueError: plan, project and board do not belong together.
        StorageError: a file cannot be read or written.
        BoardError: the board cannot be reached or stops answering; what was measured is kept.
        VerificationError: the board's results are wrong.
    """
    request = CampaignRequest(
        target=parse_target(board, via, False),
        plan=Path(plan),
        project=Path(project),
        out=Path(file),
        repetitions=repetitions,
        timeout_s=timeout_s,
    )
    measure_plan(request, progress or Silent(), lambda _: None)
    return read_measurements([Path(file)])


def fit(
    files: Sequence[str | Path],
    folder: str | Path,
    *,
    max_error: float = MAX_ERROR,
    progress: Progress | None = None,
) -> Calibration:
    """Fit coefficients to measurements of one engine, and predict every run by a fit without it.

    Args:
        files: measurements.
        folder: where the calibration is written; :func:`codesign.load_coefficients` and
            :func:`codesign.search` take its path as the name of the coefficients.
        max_error: largest mean error of left-out runs, as a share; above it nothing is written.
        progress: shows progress.

    Raises:
        InvalidValueError: the runs are too few or of several engines, or left-out runs are off by more.
        StorageError: a file cannot be read or written.
    """
    fitted = fit_measurements(
        read_measurements([Path(file) for file in files]), Path(folder).name, progress or Silent()
    )
    write_fit(Path(folder), fitted, max_error)
    return fitted.calibration


@dataclass(frozen=True)
class PredictedLatencies:
    """Predicted latencies of runs.

    Attributes:
        latency_ms: [runs] latency of each.
        low_ms, high_ms: [runs] bounds that hold 9 of 10 measured latencies.
    """

    latency_ms: FloatArray
    low_ms: FloatArray
    high_ms: FloatArray


def predict(calibration: str | Path | Calibration, runs: Sequence[EngineRun]) -> PredictedLatencies:
    """Predict the latencies of runs by a calibration, each with an interval that holds 9 of 10 measured ones.

    Args:
        calibration: the calibration, or its folder or name, such as ``vta-pynq``.
        runs: runs of the engine, measured or not.

    Raises:
        InvalidValueError: the runs are not of the calibration's engine.
        StorageError: the calibration cannot be read.
    """
    if not isinstance(calibration, Calibration):
        calibration = load_calibration(str(calibration))
    prediction = calibration.predict(runs)
    cycles_per_ms = np.array([run.clock_mhz * 1e3 for run in runs])
    return PredictedLatencies(
        latency_ms=prediction.cycles / cycles_per_ms,
        low_ms=prediction.low / cycles_per_ms,
        high_ms=prediction.high / cycles_per_ms,
    )
