"""A calibration on disk: coefficients with their uncertainty, and the runs that they were fitted on."""

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from cost_models.calibration.engines import engine_model
from cost_models.calibration.fit import Fit, Widths
from cost_models.calibration.posterior import Posterior, Prediction, predict, prior_of
from cost_models.coefficients import FOLDER, file_of
from cost_models.coefficients.fitted_range import FittedRange, check_range, range_of, span, warn_outside
from cost_models.measurements.measurement import EngineRun, Measurement
from hw_templates.board import board_name
from hw_templates.foundation.errors import InvalidValueError
from hw_templates.foundation.json_records import (
    PositiveInt,
    Record,
    ZeroOrMore,
    check_fields,
    check_record,
    parse_json,
    reading,
    write_record,
)

CALIBRATION_FILE = "calibration.json"
_NEAR = 0.1


@dataclass(frozen=True, kw_only=True)
class Quality:
    """Errors on runs that were left out of the fit, as shares, and the widths of intervals in deviations.

    Attributes:
        runs: how many.
        mean_error, median_error: absolute.
        within_10_percent: share of the runs.
        widths: for a run of a group that the fit does not know, or where there are no groups.
        widths_in_group: for a run of a group that it knows.
    """

    runs: PositiveInt
    mean_error: ZeroOrMore
    median_error: ZeroOrMore
    within_10_percent: ZeroOrMore
    widths: Widths
    widths_in_group: Widths

    def __post_init__(self) -> None:
        check_fields(self, "calibration.quality")


@dataclass(frozen=True, kw_only=True)
class Calibration(Record):
    """A fit with its provenance.

    Attributes:
        name: of the set.
        engine: whose time it predicts.
        sources, boards, groups: of the runs, each once.
        date: of the newest run, or of the fit where no run is dated.
        measurements: how many runs.
        tool_versions: tool to version that made the fit.
        quality: on left-out runs.
        fitted_on: range of the runs.
        coefficients: value of each coefficient in each campaign, for readers of the file.
        posterior: the same values as logarithms, with their uncertainty.

    Raises:
        InvalidValueError: the engine is unknown or has other coefficients, or an array is misshapen.
    """

    FORMAT: ClassVar[int] = 2

    name: str
    engine: str
    sources: tuple[str, ...]
    boards: tuple[str, ...]
    groups: tuple[str, ...]
    date: str
    measurements: int
    tool_versions: dict[str, str]
    quality: Quality
    fitted_on: FittedRange
    coefficients: dict[str, dict[str, float]]
    posterior: Posterior

    def __post_init__(self) -> None:
        check_range("calibration.fitted_on", self.fitted_on)
        names = prior_of(engine_model(self.engine)).parameters
        if self.posterior.parameters != names:
            raise InvalidValueError("calibration.posterior.parameters", self.posterior.parameters, f"{list(names)}")
        self.posterior.check()

    @classmethod
    def of(cls, name: str, fit: Fit, runs: Sequence[Measurement], today: str) -> "Calibration":
        """Return the record of a fit to some runs, made ``today`` (YYYY-MM-DD)."""
        posterior, left_out = fit.posterior, fit.left_out
        error = np.abs(left_out.error)
        values = np.exp(posterior.theta(posterior.campaigns)).tolist()
        tools = {tool: version(tool) for tool in ("codesign", "numpy", "scipy")}
        return cls(
            name=name,
            engine=fit.model.engine,
            sources=tuple(dict.fromkeys(run.source for run in runs)),
            boards=tuple(dict.fromkeys(board_name(run.board) for run in runs)),
            groups=tuple(sorted({run.group for run in runs if run.group is not None})),
            date=max((run.date for run in runs if run.date), default=today),
            measurements=len(runs),
            tool_versions={"python": platform.python_version(), **tools},
            quality=Quality(
                runs=len(error),
                mean_error=float(error.mean()),
                median_error=float(np.median(error)),
                within_10_percent=float((error <= _NEAR).mean()),
                widths=left_out.widths,
                widths_in_group=fit.left_out_singly.widths,
            ),
            fitted_on=measured_range(runs),
            coefficients={
                campaign: dict(zip(posterior.parameters, row, strict=True))
                for campaign, row in zip(posterior.campaigns, values, strict=True)
            },
            posterior=posterior,
        )

    def predict(self, runs: Sequence[EngineRun]) -> Prediction:
        """Predict the cycles of runs; warn where a run is outside of the range that the coefficients were fitted on.

        Raises:
            InvalidValueError: a run is of another engine or lacks what the model needs.
        """
        for run in runs:
            if run.engine != self.engine:
                raise InvalidValueError("coefficients.engine", self.engine, f"{run.engine}, the engine that ran")
        warn_outside(self.name, self.fitted_on, measured_range(runs))
        new, known = self.quality.widths, self.quality.widths_in_group
        width = [(known if run.group in self.groups else new).of(run.campaign) for run in runs]
        return predict(engine_model(self.engine), runs, self.posterior, np.array(width))


def measured_range(runs: Sequence[EngineRun]) -> FittedRange:
    """Return the range that runs span, in which coefficients fitted to them hold."""
    layers = [ran.layer for run in runs for ran in run.layers]
    found = range_of(layers, [run.accelerator for run in runs if run.accelerator is not None])
    found |= span("clock_mhz", (run.clock_mhz for run in runs)) | span("batch", (run.batch for run in runs))
    for name in sorted({name for run in runs for name in run.settings}):
        found |= span(f"settings.{name}", (run.settings[name] for run in runs if name in run.settings))
    return found | {"board": tuple(sorted({board_name(run.board) for run in runs}))}


def write_calibration(folder: Path, calibration: Calibration) -> None:
    """Write a calibration into a folder.

    Raises:
        StorageError: it cannot be written.
    """
    write_record(folder / CALIBRATION_FILE, calibration, wide=True)


def load_calibration(name: str) -> Calibration:
    """Load a calibration.

    Args:
        name: of a calibration that comes with the package, or the folder of a fit.

    Raises:
        UnknownNameError: there is no such calibration.
        StorageError: its file cannot be read or is no whole record.
    """
    path = file_of("calibration", name, FOLDER / "calibrations", CALIBRATION_FILE)
    with reading(path, "`codesign calibrate fit` makes one"):
        record = parse_json(path.read_bytes(), dict[str, Any], "calibration")
        if record.pop("schema", None) == 1:
            # Format 1 named the campaigns once and left their spread to the engine's model.
            spread = prior_of(engine_model(record["engine"])).campaign_spread.tolist()
            record["posterior"] |= {"campaigns": list(record["coefficients"]), "campaign_spread": spread}
            record["format"] = 2
        return check_record(record, Calibration, "calibration")
