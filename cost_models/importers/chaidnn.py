"""Frames a second of CHaiDNN-v2 on Zynq UltraScale+: Xilinx/CHaiDNN (Apache-2.0), transcribed from its documentation.

A row is a whole network on an engine of so many compute DSPs, whose DSP slices run at twice the clock. What is kept as
latency is one over the rate.
"""

from pathlib import Path

from cost_models.importers.table import Row, read_rows
from cost_models.measurement import Measurement, Percentiles

_SOURCE = "Xilinx/CHaiDNN ad3be785"
_CONVOLUTIONS = "conv_only"


def read_chaidnn(path: Path) -> tuple[Measurement, ...]:
    """The rows of ``chaidnn_v2_fps.csv`` that time convolutions alone; fully connected layers ran on the processor.

    Raises:
        StorageError: the file cannot be read or a row is not as described.
    """
    return tuple(_measurement(row) for row in read_rows(path) if row.text("scope") == _CONVOLUTIONS)


def _measurement(row: Row) -> Measurement:
    return Measurement(
        engine="chaidnn",
        board=f"a board of {row.text('device')}" if row.is_empty("board") else row.text("board"),
        campaign=f"CHaiDNN-v2 on {row.text('device')}, {row.whole('compute_dsps')} DSPs, {row.whole('bits')} bits",
        source=_SOURCE,
        clock_mhz=row.number("clk_mhz"),
        latency_ms=Percentiles(1e3 / row.number("fps")),
        network=row.text("network"),
        settings={name: row.number(name) for name in ("compute_dsps", "bits", "dsp_clk_mhz")},
    )
