"""Runs that a calibration predicted without having been fitted to them, as its report shows them."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from codesign.run import read_json, wrong_content
from cost_models.intervals import campaign_weights, interval_width
from cost_models.measurement import Measurement
from cost_models.workload import Operation
from hw_templates.atomic_file import write_text_atomically

LEFT_OUT = "left_out.json"

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
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

    def inside(self, coverage: float) -> npt.NDArray[np.bool_]:
        """Whether each interval holds the measured time, its width taken from the other rows alone."""
        score = np.abs(np.log(self.predicted_ms / self.measured_ms)) / self.deviations
        names = np.array(self.campaigns)
        inside = [
            own <= interval_width(np.delete(score, row), np.delete(campaign_weights(names, names[row]), row), coverage)
            for row, own in enumerate(score)
        ]
        return np.array(inside, dtype=np.bool_)


def run_label(run: Measurement) -> str:
    """One line that tells a run from others."""
    if not run.layers:
        return str(run.network)
    first, last = run.layers[0].layer, run.layers[-1].layer
    stride = math.prod(ran.layer.stride for ran in run.layers)
    return f"{run_kind(run)}, {first.in_channels} → {last.out_channels}, {first.in_height}x{first.in_width}/{stride}"


def run_kind(run: Measurement) -> str:
    """The kind of layer that ran; of several layers, a block with its largest kernel."""
    if not run.layers:
        return "network"
    layers = [ran.layer for ran in run.layers if ran.layer.operation in (Operation.CONV, Operation.DEPTHWISE)]
    if len(run.layers) == 1 or not layers:
        layer = run.layers[0].layer
        return f"{layer.operation} {layer.kernel_height}x{layer.kernel_width}"
    largest = max(layers, key=lambda layer: layer.kernel_height * layer.kernel_width)
    return f"block {largest.kernel_height}x{largest.kernel_width}"


def write_left_out(folder: Path, rows: LeftOutRows) -> None:
    """Write the rows into a calibration's folder."""

    def plain(value: Any) -> Any:
        return value.tolist() if isinstance(value, np.ndarray) else value

    values = {name: plain(value) for name, value in asdict(rows).items() if name != "shares"}
    shares = {kind: share.tolist() for kind, share in rows.shares.items()}
    write_text_atomically(folder / LEFT_OUT, json.dumps({**values, "shares": shares}, indent=1) + "\n")


def read_left_out(folder: Path) -> LeftOutRows:
    """The rows of a calibration's folder.

    Raises:
        StorageError: they are not there or not as :func:`write_left_out` makes them.
    """
    path = folder / LEFT_OUT
    record = read_json(path)
    with wrong_content(path):
        rows = LeftOutRows(
            labels=tuple(record["labels"]),
            kinds=tuple(record["kinds"]),
            campaigns=tuple(record["campaigns"]),
            measured_ms=_column(record["measured_ms"]),
            predicted_ms=_column(record["predicted_ms"]),
            deviations=_column(record["deviations"]),
            shares={str(kind): _column(share) for kind, share in record["shares"].items()},
        )
        columns: Sequence[Any] = (
            rows.kinds, rows.campaigns, rows.measured_ms, rows.predicted_ms, rows.deviations, *rows.shares.values()
        )  # fmt: skip
        if not rows.labels or any(len(column) != len(rows.labels) for column in columns):
            raise ValueError("columns must be equally long and not empty")
        return rows


def _column(values: Any) -> FloatArray:
    return np.array(values, dtype=np.float64)
