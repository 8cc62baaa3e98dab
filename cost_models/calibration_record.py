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

from cost_models.calibration import Fit, Posterior, Prediction, predict
from cost_models.engines import engine_model
from cost_models.fitted_range import FittedRange, warn_outside
from cost_models.intervals import Widths
from cost_models.measurement import Measurement
from hw_templates.atomic_file import write_text_atomically
from hw_templates.errors import InvalidValueError, StorageError, UnknownNameError

SCHEMA = 1
RECORD = "calibration.json"
_NEAR = 0.1
_DIGITS = 6


@dataclass(frozen=True)
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

    @classmethod
    def of(cls, fit: Fit) -> "Quality":
        """Of a fit."""
        error = np.abs(fit.left_out.error)
        singly = fit.left_out_singly or fit.left_out
        near = float((error <= _NEAR).mean())
        widths = fit.left_out.widths, singly.widths
        return cls(len(error), float(error.mean()), float(np.median(error)), near, *widths)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Quality":
        """Of a parsed file."""
        widths = {name: Widths(**values[name]) for name in ("widths", "widths_in_group")}
        return cls(**{**values, **widths})


@dataclass(frozen=True)
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
            fitted_on=FittedRange.of(runs),
        )

    def predict(self, runs: Sequence[Measurement]) -> Prediction:
        """Cycles of runs, with intervals; warns where a run is outside of what the coefficients were fitted on.

        Raises:
            InvalidValueError: a run is of another engine or lacks what the model needs.
        """
        for run in runs:
            if run.engine != self.engine:
                raise InvalidValueError("coefficients.engine", self.engine, f"{run.engine}, the engine that ran")
        warn_outside(self.name, self.fitted_on, FittedRange.of(runs))
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
            "fitted_on": self.fitted_on.as_dict(),
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
        if not isinstance(values, dict) or values.get("schema") != SCHEMA:
            found = values.get("schema") if isinstance(values, dict) else values
            raise InvalidValueError("calibration.schema", found, f"{SCHEMA}, the one that is known")
        try:
            stored, campaigns = values["posterior"], tuple(values["coefficients"])
            parameters = engine_model(values["engine"]).parameters
            names = [parameter.name for parameter in parameters]
            if stored["parameters"] != names:
                raise InvalidValueError("calibration.posterior.parameters", stored["parameters"], f"{names}")
            size, count = len(names), len(campaigns)
            posterior = Posterior(
                parameters=parameters,
                campaigns=campaigns,
                shared=_array(stored, "shared", (size,)),
                differences=_array(stored, "differences", (count, size)),
                covariance=_array(stored, "covariance", ((1 + count) * size, (1 + count) * size)),
                noise=_array(stored, "noise", (count,)),
                common_noise=float(stored["common_noise"]),
            )
            return cls(
                name=str(values["name"]),
                engine=str(values["engine"]),
                sources=tuple(values["sources"]),
                boards=tuple(values["boards"]),
                groups=tuple(values["groups"]),
                date=str(values["date"]),
                measurements=int(values["measurements"]),
                tool_versions=dict(values["tool_versions"]),
                posterior=posterior,
                quality=Quality.from_dict(values["quality"]),
                fitted_on=FittedRange.from_dict(values["fitted_on"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidValueError("calibration", type(error).__name__, f"a whole record ({error})") from error


def _rounded(values: Any) -> Any:
    """Nested lists of numbers with as many digits as matter."""
    if isinstance(values, np.ndarray):
        values = values.tolist()
    return [_rounded(value) for value in values] if isinstance(values, list) else float(f"{values:.{_DIGITS}g}")


def _array(values: dict[str, Any], name: str, shape: tuple[int, ...]) -> Any:
    array = np.array(values[name], dtype=np.float64).reshape(shape)
    if not np.isfinite(array).all():
        raise InvalidValueError(f"calibration.posterior.{name}", "a value that is not finite", "finite")
    return array


def calibration_names() -> tuple[str, ...]:
    """Names of the calibrations that come with the package, sorted."""
    folder = files("cost_models") / "calibrations"
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
        path = Path(str(files("cost_models") / "calibrations" / f"{name}.json"))
    else:
        path = Path(name) / RECORD
        if not path.is_file():
            names = calibration_names()
            expected = f"one of {', '.join(names)}, or a folder that holds {RECORD}"
            raise UnknownNameError("calibration", name, names, expected)
    try:
        return Calibration.from_dict(json.loads(path.read_text()))
    except (OSError, ValueError) as error:
        raise StorageError(f"{path}: cannot be read ({error})") from error
    except InvalidValueError as error:
        raise StorageError(f"{path}: {error}") from error
