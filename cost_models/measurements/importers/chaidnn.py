"""Frames a second of CHaiDNN-v2 on Zynq UltraScale+: Xilinx/CHaiDNN (Apache-2.0), transcribed from its documentation.

A row is a whole network on an engine with a number of compute DSPs, which run at twice the clock. Its latency is one
over the rate.
"""

from pathlib import Path

from cost_models.measurements.importers.table import Tell, converted, tell_left_out
from cost_models.measurements.measurement import Measurement, Percentiles
from hw_templates.foundation.csv_table import Row, read_rows
from hw_templates.foundation.errors import StorageError

_SOURCE = "Xilinx/CHaiDNN ad3be785"
_CONVOLUTIONS = "conv_only"


def read_chaidnn(path: Path, tell: Tell = lambda _: None) -> tuple[Measurement, ...]:
    """Read the rows of ``chaidnn_v2_fps.csv`` that time convolutions alone.

    Args:
        path: the table.
        tell: hears which rows are left out.

    Raises:
        StorageError: the file cannot be read, a row is not as described, or none times convolutions alone.
    """
    rows = read_rows(path)
    scopes: dict[str, list[Row]] = {_CONVOLUTIONS: [], "with_fc_on_cpu": [], "whole": []}
    for row in rows:
        scopes[row.choice("scope", *scopes)].append(row)
    chosen = scopes.pop(_CONVOLUTIONS)
    for scope, others in scopes.items():
        tell_left_out(tell, others, len(rows), f"their scope is {scope}, not convolutions alone")
    if not chosen:
        raise StorageError(f"{path}: must hold a row of scope {_CONVOLUTIONS}")
    return tuple(converted(chosen, _measurement).values())


def _measurement(row: Row) -> Measurement:
    clock_mhz = row.positive("clk_mhz")
    if row.number("dsp_clk_mhz") != 2 * clock_mhz:
        raise StorageError(
            f"{row.place}: dsp_clk_mhz must be twice clk_mhz ({2 * clock_mhz:g}), got {row.text('dsp_clk_mhz')}"
        )
    settings = {name: row.positive(name) for name in ("compute_dsps", "bits", "dsp_clk_mhz")}
    if not row.is_empty("axi_bits"):
        settings["axi_bits"] = row.positive("axi_bits")
    return Measurement(
        engine="chaidnn",
        board=f"a board of {row.text('device')}" if row.is_empty("board") else row.text("board"),
        campaign=f"CHaiDNN-v2 on {row.text('device')}, {row.whole('compute_dsps')} DSPs, {row.whole('bits')} bits",
        source=_SOURCE,
        clock_mhz=clock_mhz,
        latency_ms=Percentiles(1e3 / row.positive("fps")),
        network=row.text("network"),
        settings=settings,
    )
