"""A calibration on disk: coefficients with their uncertainty, and what they were fitted on."""

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from cost_models.calibration.engines import engine_model
from cost_models.calibration.fit import Fit, Posterior, Prediction, predict
from cost_models.calibration.intervals import Widths
from cost_models.coefficients.fitted_range import FittedRange, check_range, range_of, span, warn_outside
from cost_models.measurements.engine_run import EngineRun
from cost_models.measurements.measurement import Measurement
from hw_templates.foundation.arrays import FloatArray
from hw_templates.foundation.atomic_file import write_text_atomically
from hw_templates.foundation.errors import InvalidValueError, UnknownNameError
from hw_templates.foundation.json_records import check_fields, check_record, parse_json, reading

SCHEMA = 1
RECORD = "calibration.json"
LOGARITHM_MAX = 50.0
"""No logarithm of a coefficient, and no deviation or covariance of one, is larger."""
_NEAR = 0.1
_NEAR_ZERO = 1e-4
_DIGITS = 6


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

    runs: int
    mean_error: float
    median_error: float
    within_10_percent: float
    widths: Widths
    widths_in_group: Widths

    def __post_init__(self) -> None:
        check_fields(self, "calibration.quality")
        if self.runs < 1:
            raise InvalidValueError("calibration.quality.runs", self.runs, "at least 1")
        for name in ("mean_error", "median_error", "within_10_percent"):
            if not 0 <= getattr(self, name) < np.inf:
                raise InvalidValueError(f"calibration.quality.{name}", getattr(self, name), "zero or more")
        for widths in (self.widths, self.widths_in_group):
            for width in (*widths.campaigns.values(), widths.unknown):
                if not 0 <= width < np.inf:
                    raise InvalidValueError("calibration.quality.widths", width, "zero or more")

    @classmethod
    def of(cls, fit: Fit) -> "Quality":
        """Of a fit."""
        error = np.abs(fit.left_out.error)
        singly = fit.left_out_singly or fit.left_out
        return cls(
            runs=len(error),
            mean_error=float(error.mean()),
            median_error=float(np.median(error)),
            within_10_percent=float((error <= _NEAR).mean()),
            widths=fit.left_out.widths,
            widths_in_group=singly.widths,
        )


@dataclass(frozen=True, kw_only=True)
class _StoredPosterior:
    """A posterior as JSON holds it: the names of its parameters and nested lists."""

    parameters: list[str]
    shared: list[float]
    differences: list[list[float]]
    covariance: list[list[float]]
    noise: list[float]
    common_noise: float

    def restored(self, engine: str, campaigns: tuple[str, ...]) -> Posterior:
        """Build the posterior of an engine's parameters.

        Raises:
            InvalidValueError: the engine's model has other parameters, or an array is misshapen.
        """
        parameters = engine_model(engine).parameters
        names = [parameter.name for parameter in parameters]
        if self.parameters != names:
            raise InvalidValueError("calibration.posterior.parameters", self.parameters, f"{names}")
        size, count = len(names), len(campaigns)
        covariance = _array("covariance", self.covariance, ((1 + count) * size, (1 + count) * size))
        scale = np.abs(covariance).max()
        if np.abs(covariance - covariance.T).max() > _NEAR_ZERO * scale:
            raise InvalidValueError("calibration.posterior.covariance", self.covariance, "symmetric")
        if np.linalg.eigvalsh(covariance).min() < -_NEAR_ZERO * scale:
            raise InvalidValueError("calibration.posterior.covariance", self.covariance, "positive semidefinite")
        return Posterior(
            parameters=parameters,
            campaigns=campaigns,
            shared=_array("shared", self.shared, (size,)),
            differences=_array("differences", self.differences, (count, size)),
            covariance=covariance,
            noise=_array("noise", self.noise, (count,), least=0.0),
            common_noise=float(_array("common_noise", [self.common_noise], (1,), least=0.0)[0]),
        )


@dataclass(frozen=True, kw_only=True)
class _StoredCalibration:
    """A calibration as JSON holds it."""

    schema: int
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
    posterior: _StoredPosterior


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What a fit found.

    Attributes:
        name: of the set.
        engine: whose time it predicts.
        sources, boards, groups: of the runs, each once.
        date: of the newest run, or of the fit where no run is dated.
        measurements: how many runs.
        tool_versions: tool to version that made the fit.
        posterior: the coefficients.
        quality: on left-out runs.
        fitted_on: what the runs span.
    """

    name: str
    engine: str
    sources: tuple[str, ...]
    boards: tuple[str, ...]
    groups: tuple[str, ...]
    date: str
    measurements: int
    tool_versions: dict[str, str]
    posterior: Posterior
    quality: Quality
    fitted_on: FittedRange

    def __post_init__(self) -> None:
        check_range("calibration.fitted_on", self.fitted_on)

    @classmethod
    def of(cls, name: str, fit: Fit, runs: Sequence[Measurement], today: str) -> "Calibration":
        """The record of a fit to some runs, made ``today`` (YYYY-MM-DD)."""
        tools = {tool: version(tool) for tool in ("codesign", "numpy", "scipy")}
        return cls(
            name=name,
            engine=fit.model.engine,
            sources=tuple(dict.fromkeys(run.source for run in runs)),
            boards=tuple(dict.fromkeys(run.board for run in runs)),
            groups=tuple(sorted(fit.groups)),
            date=max((run.date for run in runs if run.date), default=today),
            measurements=len(runs),
            tool_versions={"python": platform.python_version(), **tools},
            posterior=fit.posterior,
            quality=Quality.of(fit),
            fitted_on=measured_range(runs),
        )

    def predict(self, runs: Sequence[EngineRun]) -> Prediction:
        """Cycles of runs, with intervals; warns where a run is outside of what the coefficients were fitted on.

        Raises:
            InvalidValueError: a run is of another engine or lacks what the model needs.
        """
        for run in runs:
            if run.engine != self.engine:
                raise InvalidValueError("coefficients.engine", self.engine, f"{run.engine}, the engine that ran")
        warn_outside(self.name, self.fitted_on, measured_range(runs))
        new, known = self.quality.widths, self.quality.widths_in_group
        width = [(known if run.group in self.groups else new).of(run.campaign) for run in runs]
        bound = engine_model(self.engine).bind(runs)
        return predict(bound, [run.campaign for run in runs], self.posterior, np.array(width))

    def as_dict(self) -> dict[str, Any]:
        """The record as JSON holds it; the coefficients also as plain values a campaign."""
        posterior, names = self.posterior, [parameter.name for parameter in self.posterior.parameters]
        values = np.exp(posterior.theta(posterior.campaigns))
        plain = {entry.name: getattr(self, entry.name) for entry in fields(self) if entry.name != "posterior"}
        return {
            "schema": SCHEMA,
            **plain,
            "quality": asdict(self.quality),
            "coefficients": {
                campaign: dict(zip(names, _rounded(row), strict=True))
                for campaign, row in zip(posterior.campaigns, values, strict=True)
            },
            "posterior": {
                "parameters": names,
                "shared": _rounded(posterior.shared),
                "differences": _rounded(posterior.differences),
                "covariance": _rounded(posterior.covariance),
                "noise": _rounded(posterior.noise),
                "common_noise": posterior.common_noise,
            },
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Calibration":
        """The record of a parsed file.

        Raises:
            InvalidValueError: of another schema, for other parameters than its engine's model has, or misshapen.
        """
        schema = check_record(values, dict[str, Any], "calibration").get("schema")
        if schema != SCHEMA:
            raise InvalidValueError("calibration.schema", schema, f"{SCHEMA}, the one that is known")
        stored = check_record(values, _StoredCalibration, "calibration")
        plain = {entry.name: getattr(stored, entry.name) for entry in fields(cls)}
        return cls(
            **{
                **plain,
                "posterior": stored.posterior.restored(stored.engine, tuple(stored.coefficients)),
            }
        )


def _rounded(values: Any) -> Any:
    """Nested lists of numbers with as many digits as matter."""
    if isinstance(values, np.ndarray):
        values = values.tolist()
    return [_rounded(value) for value in values] if isinstance(values, list) else float(f"{values:.{_DIGITS}g}")


def _array(name: str, values: list[Any], shape: tuple[int, ...], least: float = -LOGARITHM_MAX) -> FloatArray:
    """Build an array of logarithms, deviations or covariances, none of which is far from zero."""
    lengths = {len(row) for row in values} if len(shape) == 2 else set()
    if len(values) != shape[0] or not lengths <= set(shape[1:]):
        raise InvalidValueError(f"calibration.posterior.{name}", values, f"of shape {shape}")
    array = np.array(values, dtype=np.float64).reshape(shape)
    outside = (array < least) | (array > LOGARITHM_MAX)
    if outside.any():
        found = float(array[outside][0])
        raise InvalidValueError(f"calibration.posterior.{name}", found, f"in {least:g}..{LOGARITHM_MAX:g}")
    return array


def measured_range(runs: Sequence[EngineRun]) -> FittedRange:
    """Return the range that measured runs span, in which coefficients fitted to them hold."""
    layers = [ran.layer for run in runs for ran in run.layers]
    found = range_of(layers, [run.accelerator for run in runs if run.accelerator is not None])
    found |= span("clock_mhz", (run.clock_mhz for run in runs)) | span("batch", (run.batch for run in runs))
    for name in sorted({name for run in runs for name in run.settings}):
        found |= span(f"settings.{name}", (run.settings[name] for run in runs if name in run.settings))
    return found | {"board": tuple(sorted({run.board for run in runs}))}


def calibration_names() -> tuple[str, ...]:
    """Names of the calibrations that come with the package, sorted."""
    folder = files("cost_models") / "coefficients" / "calibrations"
    return tuple(sorted(entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.endswith(".json")))


def write_calibration(folder: Path, calibration: Calibration) -> None:
    """Write the record into a folder.

    Raises:
        StorageError: it cannot be written.
    """
    lines = [f" {json.dumps(name)}: {json.dumps(value)}" for name, value in calibration.as_dict().items()]
    write_text_atomically(folder / RECORD, "{\n" + ",\n".join(lines) + "\n}\n")


def load_calibration(name: str) -> Calibration:
    """The calibration of that name: one that comes with the package, or the folder of a fit.

    Raises:
        InvalidValueError: no such calibration.
        StorageError: its file cannot be read or is no whole record.
    """
    if name in calibration_names():
        path = Path(str(files("cost_models") / "coefficients" / "calibrations" / f"{name}.json"))
    else:
        path = Path(name) / RECORD
        if not path.is_file():
            names = calibration_names()
            expected = f"one of {', '.join(names)}, or a folder that holds {RECORD}"
            raise UnknownNameError("calibration", name, names, expected)
    with reading(path):
        return Calibration.from_dict(parse_json(path.read_bytes(), dict[str, Any], "calibration"))
