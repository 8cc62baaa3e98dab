"""MLPerf Tiny submissions on FPGAs: latency and power of whole designs, and the layers of those made by hls4ml.

From mlcommons/tiny_results_v0.5 and v0.7 (Apache-2.0). Latency is one over the throughput of a single stream; power is
that of the whole board, measured in a second run. The clock of a design is what its configuration asks for, or its
build script where the configuration does not say; a table of other designs must have the column ``clock_mhz``.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from cost_models.hls4ml.streams import StreamLayer
from cost_models.measurements.importers.hls4ml_configs import Configurations
from cost_models.measurements.importers.table import Tell, converted, tell_left_out
from cost_models.measurements.measurement import Measurement, Percentiles
from hw_templates.foundation.csv_table import Row, read_rows
from hw_templates.foundation.errors import StorageError
from hw_templates.foundation.json_records import reading

_SOURCES = {"v0.5": "mlcommons/tiny_results_v0.5 d75aef63", "v0.7": "mlcommons/tiny_results_v0.7 64623f41"}
# In ns, of FINN's designs (synth_clk_period_ns in the build.py of each), and of the one design of hls4ml whose
# configuration names none (training/convert.py).
_FINN_PERIODS = {"v0.7": 10.0}
_SCRIPT_PERIODS = {("v0.5", "AD03", "pynq-z2"): 10.0}
# Above this, latency and power are those of two designs, or of two clocks.
_POWER_RUN_DEVIATION = 0.05
_ROUNDING = 0.01
_DENSE, _CONVOLUTION = re.compile("Dense"), re.compile("Conv2D")


@dataclass(frozen=True)
class DataflowRun:
    """A design of hls4ml on a board: its measurement and its layers."""

    measurement: Measurement
    layers: tuple[StreamLayer, ...]


def read_mlperf_tiny(path: Path, tell: Tell = lambda _: None) -> tuple[Measurement, ...]:
    """Read ``mlperf_tiny_fpga_measured.csv``, with ``hls4ml_configs.json`` of the same folder.

    Args:
        path: the table.
        tell: hears which rows' power is left out.

    Raises:
        StorageError: a file cannot be read, a row is not as described, or the clock of its design is unknown.
    """
    configurations, rows = Configurations.read(path.parent), read_rows(path)
    timed = converted(rows, lambda row: _measurement(row, configurations))
    unpowered = [row for row, run in timed if run.power_w is None and not row.is_empty("power_W_median")]
    why = "it was measured at another rate than the latency (power_run_throughput_inf_s)"
    tell_left_out(tell, unpowered, len(rows), why, "rows' power")
    return tuple(run for _, run in timed)


def read_dataflow_runs(folder: Path, board: str = "pynq-z2") -> tuple[DataflowRun, ...]:
    """Read the designs of hls4ml that were measured on a board, with their layers.

    Raises:
        StorageError: a file cannot be read or a design is not as described.
    """
    configurations = Configurations.read(folder)
    tables: dict[str, list[Row]] = {}
    for row in read_rows(folder / "hls4ml_model_layers.csv"):
        tables.setdefault(row.text("model"), []).append(row)
    runs = []
    for run in read_mlperf_tiny(folder / "mlperf_tiny_fpga_measured.csv"):
        if run.engine == "hls4ml" and run.board == board and run.network in tables:
            with reading(folder):
                factors = configurations.layers_of(run.network, board).reuse_factors()
            runs.append(DataflowRun(run, _layers(tables[run.network], *factors)))
    return tuple(runs)


def _measurement(row: Row, configurations: Configurations) -> Measurement:
    flow, board, model, edition = (row.text(name) for name in ("flow", "board", "model", "round"))
    if edition not in _SOURCES:
        raise StorageError(f"{row.place}: round must be one of {', '.join(_SOURCES)}, got {edition!r}")
    latency_us = row.positive("latency_us")
    throughput = "throughput_inf_s_median"
    if not row.is_empty(throughput) and abs(latency_us * row.positive(throughput) / 1e6 - 1) > _ROUNDING:
        raise StorageError(f"{row.place}: latency_us must be 1e6 over {throughput}, got {latency_us:g}")
    return Measurement(
        engine=flow.lower(),
        board=board,
        campaign=f"{flow}, {edition}",
        source=_SOURCES[edition],
        clock_mhz=_clock_mhz(row, configurations),
        latency_ms=Percentiles(latency_us / 1e3),
        network=model,
        repetitions=row.whole("n_windows") * row.whole("n_inferences_per_window"),
        power_w=row.positive("power_W_median") if _has_power(row, latency_us) else None,
    )


def _has_power(row: Row, latency_us: float) -> bool:
    """Return whether a row gives the power of the design whose latency it gives."""
    if row.is_empty("power_W_median"):
        return False
    rate = "power_run_throughput_inf_s"
    return row.is_empty(rate) or abs(latency_us * row.positive(rate) / 1e6 - 1) <= _POWER_RUN_DEVIATION


def _clock_mhz(row: Row, configurations: Configurations) -> float:
    if not row.is_empty("clock_mhz"):
        return row.positive("clock_mhz")
    flow, board, model, edition = (row.text(name) for name in ("flow", "board", "model", "round"))
    if flow == "FINN":
        period_ns = _FINN_PERIODS.get(edition)
    else:
        stated = _SCRIPT_PERIODS.get((edition, model, board))
        period_ns = configurations.period_ns(model, board) or stated
    if period_ns is None:
        raise StorageError(
            f"{row.place}: clock_mhz must be given for {model} of {flow} on {board}, as no configuration says it"
        )
    return 1e3 / period_ns


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
