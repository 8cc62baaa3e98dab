"""MLPerf Tiny submissions on FPGAs: latency and power of whole designs, and the layers of those made by hls4ml.

From mlcommons/tiny_results_v0.5 and v0.7 (Apache-2.0). Latency is one over the throughput of a single stream; power is
that of the whole board, measured in a second run.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cost_models.dataflow import StreamLayer
from cost_models.importers.table import Row, read_rows
from cost_models.measurement import Measurement, Percentiles
from hw_templates.errors import StorageError

_SOURCES = {"v0.5": "mlcommons/tiny_results_v0.5 d75aef63", "v0.7": "mlcommons/tiny_results_v0.7 64623f41"}
# Of designs whose configuration names none: hls4ml's default.
_CLOCK_PERIOD_NS = 10.0
_DENSE, _CONVOLUTION = re.compile("Dense"), re.compile("Conv2D")


@dataclass(frozen=True)
class DataflowRun:
    """A design of hls4ml on a board: what was measured, and its layers."""

    measurement: Measurement
    layers: tuple[StreamLayer, ...]


def read_mlperf_tiny(path: Path) -> tuple[Measurement, ...]:
    """The rows of ``mlperf_tiny_fpga_measured.csv``, at the clock of ``hls4ml_configs.json`` beside it where it says.

    Raises:
        StorageError: a file cannot be read or a row is not as described.
    """
    configurations = _read_configurations(path.parent)
    return tuple(_measurement(row, configurations) for row in read_rows(path))


def read_dataflow_runs(folder: Path, board: str = "pynq-z2") -> tuple[DataflowRun, ...]:
    """The designs of hls4ml that were measured on a board, with their layers.

    Raises:
        StorageError: a file cannot be read or a design is not as described.
    """
    configurations = _read_configurations(folder)
    tables: dict[str, list[Row]] = {}
    for row in read_rows(folder / "hls4ml_model_layers.csv"):
        tables.setdefault(row.text("model"), []).append(row)
    runs = []
    for run in read_mlperf_tiny(folder / "mlperf_tiny_fpga_measured.csv"):
        if run.engine == "hls4ml" and run.board == board and run.network in tables:
            design = configurations.get(f"{run.network}@{board}", {})
            names = configurations.get(f"{run.network}-layers@*", design)
            runs.append(DataflowRun(run, _layers(tables[run.network], names)))
    return tuple(runs)


def _read_configurations(folder: Path) -> dict[str, Any]:
    path = folder / "hls4ml_configs.json"
    try:
        return {name: entry["config"] for name, entry in json.loads(path.read_text()).items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StorageError(f"{path}: cannot be read ({error})") from error


def _measurement(row: Row, configurations: dict[str, Any]) -> Measurement:
    flow, board, model, edition = (row.text(name) for name in ("flow", "board", "model", "round"))
    if edition not in _SOURCES:
        raise StorageError(f"{row.place}: round must be one of {', '.join(_SOURCES)}, got {edition!r}")
    convert = configurations.get(f"{model}@{board}", {}).get("convert", {})
    period_ns = float(convert.get("ClockPeriod", convert.get("clock_period", _CLOCK_PERIOD_NS)))
    return Measurement(
        engine=flow.lower(),
        board=board,
        campaign=f"{flow}, {edition}",
        source=_SOURCES[edition],
        clock_mhz=1e3 / period_ns,
        latency_ms=Percentiles(row.number("latency_us") / 1e3),
        network=model,
        repetitions=row.whole("n_windows") * row.whole("n_inferences_per_window"),
        power_w=None if row.is_empty("power_W_median") else row.number("power_W_median"),
    )


def _layers(rows: list[Row], configuration: dict[str, Any]) -> tuple[StreamLayer, ...]:
    """Dense and convolution layers in order, each with its reuse factor or that of the whole model."""
    named = _find(configuration, "LayerName") or _find(configuration, "Override") or {}
    whole = int(configuration.get("REUSE") or _find(configuration, "ReuseFactor"))
    shape: tuple[int, int, int] = (1, 1, 1)
    layers = []
    for row in rows:
        kind = row.text("cls")
        if kind == "InputLayer":
            sizes = [int(size) for size in re.findall(r"\d+", row.text("in_shape"))]
            shape = (1, 1, sizes[0]) if len(sizes) == 1 else (sizes[0], sizes[1], sizes[2])
        if not (_DENSE.search(kind) or _CONVOLUTION.search(kind)):
            continue
        kernel, stride = 0, 1
        if _CONVOLUTION.search(kind):
            kernel, stride = (int(re.findall(r"\d+", row.text(name))[0]) for name in ("kernel", "strides"))
        reuse = int(named.get(row.text("layer"), {}).get("ReuseFactor", whole))
        layer = StreamLayer(*shape, row.whole("filters"), kernel, stride, reuse)
        layers.append(layer)
        shape = (*layer.out_size, layer.outputs)
    return tuple(layers)


def _find(values: Any, name: str) -> Any:
    """The first value of that name at any depth, nearest first; None where there is none."""
    queue = [values]
    for value in queue:
        if isinstance(value, dict):
            if name in value:
                return value[name]
            queue += value.values()
    return None
