"""Runs that a calibration predicted without having been fitted to them, as its report shows them."""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from codesign.run.folder import read_json
from cost_models.calibration.intervals import campaign_weights, interval_width
from cost_models.measurements.engine_run import EngineRun
from hw_templates.foundation.arrays import BoolArray, FloatArray
from hw_templates.foundation.atomic_file import write_text_atomically
from hw_templates.foundation.errors import InvalidValueError

LEFT_OUT = "left_out.json"


@dataclass(frozen=True, kw_only=True)
class LeftOutRows:
    """[runs] each.

    Attributes:
        labels, kinds, campaigns: what ran, what kind of layer it is, and where it belongs.
        measured_ms, predicted_ms: latency.
        deviations: predicted standard deviation of the logarithm.
        shares: what takes the time, in the fit to all runs: kind of term to its share.
    """

    labels: tuple[str, ...]
    kinds: tuple[str, ...]
    campaigns: tuple[str, ...]
    measured_ms: FloatArray
    predicted_ms: FloatArray
    deviations: FloatArray
    shares: dict[str, FloatArray]

    @property
    def errors(self) -> FloatArray:
        """Signed, as shares of what was measured."""
        errors: FloatArray = self.predicted_ms / self.measured_ms - 1
        return errors

    def inside(self, coverage: float) -> BoolArray:
        """Whether each interval holds the measured time, its width taken from the other rows alone."""
        score = np.abs(np.log(self.predicted_ms / self.measured_ms)) / self.deviations
        names = np.array(self.campaigns)
        inside = [
            own <= interval_width(np.delete(score, row), np.delete(campaign_weights(names, names[row]), row), coverage)
            for row, own in enumerate(score)
        ]
        return np.array(inside, dtype=np.bool_)


def run_label(run: EngineRun) -> str:
    """One line that tells a run from others."""
    if not run.layers:
        return str(run.network)
    first, last = run.layers[0].layer, run.layers[-1].layer
    stride = math.prod(ran.layer.stride for ran in run.layers)
    return f"{run_kind(run)}, {first.in_channels} → {last.out_channels}, {first.in_height}x{first.in_width}/{stride}"


def run_kind(run: EngineRun) -> str:
    """The kind of layer that ran; of several layers, a block with its largest kernel."""
    if not run.layers:
        return "network"
    layers = [ran.layer for ran in run.layers if ran.layer.operation.has_weights]
    if len(run.layers) == 1 or not layers:
        layer = run.layers[0].layer
        return f"{layer.operation} {layer.kernel_height}x{layer.kernel_width}"
    largest = max(layers, key=lambda layer: layer.kernel_height * layer.kernel_width)
    return f"block {largest.kernel_height}x{largest.kernel_width}"


@dataclass(frozen=True, kw_only=True)
class _LeftOutRecord:
    """``left_out.json``: the columns of :class:`LeftOutRows`."""

    labels: tuple[str, ...]
    kinds: tuple[str, ...]
    campaigns: tuple[str, ...]
    measured_ms: tuple[float, ...]
    predicted_ms: tuple[float, ...]
    deviations: tuple[float, ...]
    shares: dict[str, tuple[float, ...]]

    def __post_init__(self) -> None:
        columns = {name: column for name, column in vars(self).items() if name != "shares"} | self.shares
        for name, column in columns.items():
            if not column or len(column) != len(self.labels):
                raise InvalidValueError(f"left_out.{name}", len(column), f"{max(1, len(self.labels))} rows")
        for name in ("measured_ms", "predicted_ms", "deviations"):
            if not all(0 < value < math.inf for value in columns[name]):
                raise InvalidValueError(f"left_out.{name}", columns[name], "positive and finite")


def write_left_out(folder: Path, rows: LeftOutRows) -> None:
    """Write the rows into a calibration's folder.

    Raises:
        StorageError: they cannot be written.
    """

    def plain(value: Any) -> Any:
        return value.tolist() if isinstance(value, np.ndarray) else value

    values = {name: plain(value) for name, value in asdict(rows).items() if name != "shares"}
    shares = {kind: share.tolist() for kind, share in rows.shares.items()}
    write_text_atomically(folder / LEFT_OUT, json.dumps({**values, "shares": shares}, indent=1) + "\n")


def read_left_out(folder: Path) -> LeftOutRows:
    """Read the rows of a calibration's folder.

    Raises:
        StorageError: they are missing, or not as :func:`write_left_out` writes them.
    """
    record = read_json(folder / LEFT_OUT, _LeftOutRecord)
    return LeftOutRows(
        labels=record.labels,
        kinds=record.kinds,
        campaigns=record.campaigns,
        measured_ms=np.array(record.measured_ms),
        predicted_ms=np.array(record.predicted_ms),
        deviations=np.array(record.deviations),
        shares={kind: np.array(share) for kind, share in record.shares.items()},
    )
