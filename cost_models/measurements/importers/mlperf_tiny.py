"""MLPerf Tiny submissions on FPGAs: latency and power of whole designs.

From mlcommons/tiny_results_v0.5 and v0.7 (Apache-2.0). Latency is one over the throughput of a single stream; power is
that of the whole board, measured in a second run. The clock of a design is what its configuration asks for, or its
build script where the configuration does not say; a table of other designs must have the column ``clock_mhz``.
"""

from dataclasses import dataclass, field
from pathlib import Path

from cost_models.measurements.importers.table import Tell, converted, tell_left_out
from cost_models.measurements.measurement import Measurement, Percentiles
from hw_templates.foundation.csv_table import Row, read_rows
from hw_templates.foundation.errors import InvalidValueError, StorageError
from hw_templates.foundation.json_records import read_json

CONFIGURATIONS = "hls4ml_configs.json"
_SOURCES = {"v0.5": "mlcommons/tiny_results_v0.5 d75aef63", "v0.7": "mlcommons/tiny_results_v0.7 64623f41"}
# In ns, of FINN's designs (synth_clk_period_ns in the build.py of each), and of the one design of hls4ml whose
# configuration names none (training/convert.py).
_FINN_PERIODS = {"v0.7": 10.0}
_SCRIPT_PERIODS = {("v0.5", "AD03", "pynq-z2"): 10.0}
# Names of one option in the editions of the submission.
_PERIODS, _BOARDS, _POWER = ("ClockPeriod", "clock_period"), ("Board", "board_name"), "EEMBC_power"
# Above this, latency and power are those of two designs, or of two clocks.
_POWER_RUN_DEVIATION = 0.05
_ROUNDING = 0.01


@dataclass(frozen=True)
class Configuration:
    """Configuration of one design, as hls4ml reads it, and the file that it comes from."""

    config: dict[str, object] = field(default_factory=dict)
    repo: str = ""
    path: str = ""

    @property
    def conversion(self) -> dict[str, object]:
        """Options of the conversion."""
        found = self.config.get("convert")
        return found if isinstance(found, dict) else {}


def read_mlperf_tiny(path: Path, tell: Tell = lambda _: None) -> tuple[Measurement, ...]:
    """Read ``mlperf_tiny_fpga_measured.csv``, with ``hls4ml_configs.json`` of the same folder.

    Args:
        path: the table.
        tell: hears which rows' power is left out.

    Raises:
        StorageError: a file cannot be read, a row is not as described, or the clock of its design is unknown.
    """
    configurations, rows = read_configurations(path.parent), read_rows(path)
    timed = converted(rows, lambda row: _measurement(row, configurations))
    unpowered = [row for row, run in timed.items() if run.power_w is None and not row.is_empty("power_W_median")]
    why = "it was measured at another rate than the latency (power_run_throughput_inf_s)"
    tell_left_out(tell, unpowered, len(rows), why, "rows' power")
    return tuple(timed.values())


def read_configurations(folder: Path) -> dict[str, Configuration]:
    """Read the configurations of hls4ml's designs, by MODEL@BOARD.

    Raises:
        StorageError: the file cannot be read or is not as described.
    """
    return read_json(folder / CONFIGURATIONS, dict[str, Configuration], "it comes with the table")


def configuration_of(configurations: dict[str, Configuration], model: str, board: str) -> Configuration:
    """Return the configuration of a model on a board with which latency was measured; an empty one without it."""
    made_for_it = (
        entry
        for name, entry in configurations.items()
        if name.startswith(f"{model}@")
        and board in [entry.conversion.get(option) for option in _BOARDS]
        and not entry.conversion.get(_POWER)
    )
    return configurations.get(f"{model}@{board}") or next(made_for_it, Configuration())


def _measurement(row: Row, configurations: dict[str, Configuration]) -> Measurement:
    flow, board, model = (row.text(name) for name in ("flow", "board", "model"))
    edition, latency_us = row.choice("round", *_SOURCES), row.positive("latency_us")
    if _deviation(row, "throughput_inf_s_median", latency_us) > _ROUNDING:
        raise StorageError(f"{row.place}: latency_us must be 1e6 over throughput_inf_s_median, got {latency_us:g}")
    if row.is_empty("clock_mhz"):
        period_ns = _FINN_PERIODS.get(edition) if flow == "FINN" else _period_ns(configurations, model, board, edition)
        if period_ns is None:
            raise StorageError(
                f"{row.place}: clock_mhz must be given for {model} of {flow} on {board}, as no configuration says it"
            )
        clock_mhz = 1e3 / period_ns
    else:
        clock_mhz = row.positive("clock_mhz")
    return Measurement(
        engine=flow.lower(),
        board=board,
        campaign=f"{flow}, {edition}",
        source=_SOURCES[edition],
        clock_mhz=clock_mhz,
        latency_ms=Percentiles(latency_us / 1e3),
        network=model,
        repetitions=row.whole("n_windows") * row.whole("n_inferences_per_window"),
        power_w=_power_w(row, latency_us),
    )


def _deviation(row: Row, column: str, latency_us: float) -> float:
    """Return the share by which a rate that a row may give deviates from one over its latency."""
    return 0.0 if row.is_empty(column) else abs(latency_us * row.positive(column) / 1e6 - 1)


def _power_w(row: Row, latency_us: float) -> float | None:
    """Return the power of the design whose latency a row gives, where the row gives it."""
    if row.is_empty("power_W_median"):
        return None
    other_rate = _deviation(row, "power_run_throughput_inf_s", latency_us) > _POWER_RUN_DEVIATION
    return None if other_rate else row.positive("power_W_median")


def _period_ns(configurations: dict[str, Configuration], model: str, board: str, edition: str) -> float | None:
    """Return the clock period that a design of hls4ml asks for, in ns; None where nothing states it."""
    options = configuration_of(configurations, model, board).conversion
    for option in _PERIODS:
        if option in options:
            value = options[option]
            if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
                raise InvalidValueError(f"{CONFIGURATIONS}: {model}@{board}.{option}", value, "a positive number of ns")
            return float(value)
    return _SCRIPT_PERIODS.get((edition, model, board))
