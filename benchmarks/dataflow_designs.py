"""Designs of hls4ml that MLPerf Tiny measured, with their layers, for the benchmark of calibration.

Layers are in ``hls4ml_model_layers.csv`` beside the measurements, and reuse factors in the configurations, which hold
them by MODEL@BOARD and MODEL-layers@*.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cost_models.hls4ml.streams import StreamLayer
from cost_models.measurements.importers.mlperf_tiny import (
    CONFIGURATIONS,
    Configuration,
    configuration_of,
    read_configurations,
    read_mlperf_tiny,
)
from cost_models.measurements.measurement import Measurement
from hw_templates.foundation.csv_table import Row, read_rows
from hw_templates.foundation.errors import InvalidValueError, StorageError
from hw_templates.foundation.json_records import reading

_DENSE, _CONVOLUTION = re.compile("Dense"), re.compile("Conv2D")


@dataclass(frozen=True)
class DataflowRun:
    """A design of hls4ml on a board: its measurement and its layers."""

    measurement: Measurement
    layers: tuple[StreamLayer, ...]


def read_dataflow_runs(folder: Path, board: str = "pynq-z2") -> tuple[DataflowRun, ...]:
    """Read the designs of hls4ml that were measured on a board, with their layers.

    Raises:
        StorageError: a file cannot be read or a design is not as described.
    """
    configurations = read_configurations(folder)
    tables: dict[str, list[Row]] = {}
    for row in read_rows(folder / "hls4ml_model_layers.csv"):
        tables.setdefault(row.text("model"), []).append(row)
    runs = []
    for run in read_mlperf_tiny(folder / "mlperf_tiny_fpga_measured.csv"):
        if run.engine == "hls4ml" and run.board == board and run.network in tables:
            own = configuration_of(configurations, run.network, board)
            with reading(folder):
                factors = reuse_factors(configurations.get(f"{run.network}-layers@*", own))
            runs.append(DataflowRun(run, _layers(tables[run.network], *factors)))
    return tuple(runs)


def call_overhead_ms(predicted_ms: Sequence[float], measured_ms: Sequence[float]) -> float:
    """The one constant of a flow: the time of a call that leaves the least sum of |log(predicted / measured)|.

    That sum is least where one of the runs fits exactly, or where the constant is zero.
    """
    predicted, measured = np.asarray(predicted_ms, dtype=np.float64), np.asarray(measured_ms, dtype=np.float64)
    candidates = np.maximum(np.append(measured - predicted, 0.0), 0.0)
    misfit = [float(np.abs(np.log((predicted + constant) / measured)).sum()) for constant in candidates]
    return float(candidates[int(np.argmin(misfit))])


def reuse_factors(configuration: Configuration) -> tuple[int, dict[str, int]]:
    """Return the reuse factor of the whole model, and of each layer that has its own.

    Raises:
        InvalidValueError: a factor is not a positive whole number, or the whole model has none.
    """
    config = configuration.config
    named = _find(config, "LayerName") or _find(config, "Override")
    own = {
        name: _reuse(f"{name}.ReuseFactor", entry["ReuseFactor"])
        for name, entry in (named.items() if isinstance(named, dict) else ())
        if isinstance(entry, dict) and "ReuseFactor" in entry
    }
    return _reuse("ReuseFactor", config.get("REUSE") or _find(config, "ReuseFactor")), own


def _reuse(name: str, value: Any) -> int:
    if type(value) is not int or value < 1:
        raise InvalidValueError(f"{CONFIGURATIONS}: {name}", value, "a positive whole number")
    return value


def _find(values: Any, name: str) -> Any:
    """Return the first value of a name at any depth, nearest first; None without one."""
    queue = [values]
    for value in queue:
        if isinstance(value, dict):
            if name in value:
                return value[name]
            queue += value.values()
    return None


def _layers(rows: list[Row], whole: int, own: dict[str, int]) -> tuple[StreamLayer, ...]:
    """Return dense and convolution layers in order, each with its reuse factor or that of the whole model."""
    shape: tuple[int, int, int] = (1, 1, 1)
    layers = []
    for row in rows:
        kind = row.text("cls")
        if kind == "InputLayer":
            sizes = _sizes(row, "in_shape")
            if len(sizes) not in (1, 3):
                raise StorageError(f"{row.place}: in_shape must have 1 or 3 sizes, got {row.text('in_shape')!r}")
            shape = (1, 1, sizes[0]) if len(sizes) == 1 else (sizes[0], sizes[1], sizes[2])
        if not (_DENSE.search(kind) or _CONVOLUTION.search(kind)):
            continue
        kernel, stride = 0, 1
        if _CONVOLUTION.search(kind):
            kernel, stride = _side(row, "kernel"), _side(row, "strides")
            if not row.is_empty("padding"):
                row.choice("padding", "same")
        with reading(row.place):
            layer = StreamLayer(
                height=shape[0],
                width=shape[1],
                channels=shape[2],
                outputs=row.whole("filters"),
                kernel=kernel,
                stride=stride,
                reuse_factor=own.get(row.text("layer"), whole),
            )
        layers.append(layer)
        shape = (*layer.out_size, layer.outputs)
    return tuple(layers)


def _sizes(row: Row, column: str) -> list[int]:
    return [int(size) for size in re.findall(r"[0-9]+", row.text(column))]


def _side(row: Row, column: str) -> int:
    """Return the side of a square that is given by both its sides."""
    sizes = _sizes(row, column)
    if len(sizes) != 2 or sizes[0] != sizes[1]:
        raise StorageError(f"{row.place}: {column} must give two equal sizes, got {row.text(column)!r}")
    return sizes[0]
