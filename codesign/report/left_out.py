"""Runs that a calibration predicted by fits without them, as its report shows them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cost_models.calibration.fit import interval_width
from cost_models.measurements.measurement import EngineRun
from cost_models.workload import Layer
from hw_templates.foundation.arrays import BoolArray, FloatArray
from hw_templates.foundation.errors import InvalidValueError
from hw_templates.foundation.json_records import Record

LEFT_OUT = "left_out.json"
"""The file of the rows in a calibration's folder."""


@dataclass(frozen=True, kw_only=True)
class LeftOutRows(Record):
    """Columns of [runs] each: runs, and their predictions by fits that they were left out of.

    Attributes:
        labels, kinds, campaigns: name, kind of layer and campaign of each run.
        measured_ms, predicted_ms: latency.
        deviations: predicted standard deviation of the logarithm.
        shares: kind of term to its share of the time, in the fit to all runs.

    Raises:
        InvalidValueError: a column has another length, or a time or deviation is not positive.
    """

    labels: tuple[str, ...]
    kinds: tuple[str, ...]
    campaigns: tuple[str, ...]
    measured_ms: FloatArray
    predicted_ms: FloatArray
    deviations: FloatArray
    shares: dict[str, FloatArray]

    def __post_init__(self) -> None:
        for name, column in {**vars(self), **self.shares}.items():
            if name != "shares" and (not self.labels or np.shape(column) != (len(self.labels),)):
                raise InvalidValueError(f"left_out.{name}", np.size(column), f"{max(1, len(self.labels))} rows")
        for name in ("measured_ms", "predicted_ms", "deviations"):
            column = getattr(self, name)
            if not ((column > 0) & np.isfinite(column)).all():
                raise InvalidValueError(f"left_out.{name}", column.tolist(), "positive and finite")

    @property
    def errors(self) -> FloatArray:
        """Signed errors, as shares of the measured times."""
        return self.predicted_ms / self.measured_ms - 1

    def inside(self, coverage: float) -> BoolArray:
        """Return whether each interval holds the measured time, its width taken from the other rows alone."""
        score = np.abs(np.log(self.predicted_ms / self.measured_ms)) / self.deviations
        names = np.array(self.campaigns)
        return np.array(
            [
                own <= interval_width(np.delete(score, row), np.delete(names, row), names[row], coverage)
                for row, own in enumerate(score)
            ],
            dtype=np.bool_,
        )


def run_label(run: EngineRun) -> str:
    """Return a line that describes a run."""
    return layers_label([ran.layer for ran in run.layers]) if run.layers else str(run.network)


def layers_label(layers: Sequence[Layer]) -> str:
    """Return a line that describes layers which run one after the other."""
    first, last, stride = layers[0], layers[-1], math.prod(layer.stride for layer in layers)
    size = f"{first.in_height}x{first.in_width}/{stride}"
    return f"{_kind(layers)}, {first.in_channels} → {last.out_channels}, {size}"


def run_kind(run: EngineRun) -> str:
    """Return the kind of a run: its layer's, or "block" with the largest kernel of several layers."""
    return _kind([ran.layer for ran in run.layers]) if run.layers else "network"


def _kind(layers: Sequence[Layer]) -> str:
    weighted = [layer for layer in layers if layer.operation.has_weights]
    if len(layers) == 1 or not weighted:
        return f"{layers[0].operation} {layers[0].kernel_height}x{layers[0].kernel_width}"
    largest = max(weighted, key=lambda layer: layer.kernel_height * layer.kernel_width)
    return f"block {largest.kernel_height}x{largest.kernel_width}"
