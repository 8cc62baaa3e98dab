"""Convolutions that AutoTVM measured on PYNQ boards with VTA: tlc-pack/tophub, vta_v0.06.log and vta_v0.08.log.

A row's ``tiling`` gives splits as [outer, inner]; ``tile_ci`` and ``tile_co`` count blocks of channels. The GEMM core
of batch x block x block becomes an array of ``pe_pixels`` x ``pe_cols`` x ``pe_rows``, and the buffer of one of the
virtual threads becomes one half of a ping-pong pair.

A row with ``err`` failed: its time is a placeholder. A row with ``copied_cost`` has the time of another row. Where that
row ran the same convolution in the same way, both are one measurement and share a group; where it ran another, as in
tophub's section of YOLO-tiny, the time says nothing about this row. The table gives no clock: it is known of the PYNQ,
and a table of another board must have the columns ``clock_mhz`` and ``axi_bits``.
"""

import math
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

from cost_models.mapping.mapping import LoopOrder, Mapping
from cost_models.measurements.importers.table import Tell, check_roofline, converted, tell_left_out
from cost_models.measurements.measurement import MeasuredLayer, Measurement, Percentiles
from cost_models.workload import Layer, Operation
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.csv_table import Row, read_rows
from hw_templates.foundation.errors import StorageError

_SOURCE = "tlc-pack/tophub f05376ec"
_SPLIT = re.compile(r"(\w+)=\[?(\d+)(?:,(\d+)\])?", re.ASCII)
# MHz, and bits of the memory port, of the boards whose clock is known.
_CLOCKS = {"pynq": (100.0, 64)}
# Values that the engine's model assumes, for tables that have the column.
_EXPECTED = {"groups": 1, "i_bits": 8, "w_bits": 8, "acc_bits": 32}
# Two halves of a KiB each.
_BUFFER_BYTES = 2048


def read_vta_tophub(path: Path, tell: Tell = lambda _: None) -> tuple[Measurement, ...]:
    """Read ``vta_tophub_conv.csv``.

    Args:
        path: the table.
        tell: hears which rows are left out.

    Raises:
        StorageError: the file cannot be read, a row is not as described or is faster than its engine can be, the clock
            of its board is unknown, or no row was measured.
    """
    rows = read_rows(path)
    failed = [row for row in rows if _is_set(row, "err")]
    tell_left_out(tell, failed, len(rows), "their measurement failed (err)")
    timed = converted((row for row in rows if row not in failed), _measurement)
    foreign = _foreign_copies(timed)
    tell_left_out(tell, foreign, len(rows), "their time is that of another convolution (copied_cost)")
    first: dict[str, Row] = {}
    own = [row for row in timed if row not in foreign]
    repeated = [row for row in own if first.setdefault(repr(timed[row]), row) is not row]
    tell_left_out(tell, repeated, len(rows), "they are there twice")
    once = {row: timed[row] for row in first.values()}
    if not once:
        raise StorageError(f"{path}: must hold a row that was measured, and all {len(rows)} failed or are copies")
    for row, run in once.items():
        _check_tiling(row, run)
    check_roofline("vta", once)
    same_work = Counter(map(_work, once.values()))
    return tuple(
        replace(run, group=f"copies of {run.latency_ms.p50:.10g} ms")
        if _is_set(row, "copied_cost") or same_work[_work(run)] > 1
        else run
        for row, run in once.items()
    )


def _is_set(row: Row, column: str) -> bool:
    """Return whether an optional column of numbers holds one that is not zero."""
    return not row.is_empty(column) and row.whole(column) != 0


def _work(run: Measurement) -> str:
    """Return text that two runs share where they differ in campaign, source and date alone."""
    return repr(replace(run, campaign="any", source="any", date=None))


def _foreign_copies(timed: dict[Row, Measurement]) -> list[Row]:
    """Return the rows whose time is marked as copied, and that no row with their time, layer and tiling gave."""
    originals: dict[float, list[str]] = {}
    for row, run in timed.items():
        if not _is_set(row, "copied_cost"):
            originals.setdefault(run.latency_ms.p50, []).append(_work(run))
    # Where the table lacks the original, the first copy stands for it.
    return [
        row for row, run in timed.items() if _work(run) not in originals.setdefault(run.latency_ms.p50, [_work(run)])
    ]


def _measurement(row: Row) -> Measurement:
    if not row.is_empty("op"):
        row.choice("op", "conv2d")
    accelerator, clock_mhz = _engine(row)
    splits = {name: sizes[-1] for name, sizes in _splits(row).items()}
    mapping = Mapping(
        tile_out_channels=splits["tile_co"] * accelerator.pe_rows,
        tile_in_channels=splits["tile_ci"] * accelerator.pe_cols,
        tile_height=splits["tile_h"],
        tile_width=splits["tile_w"],
        loop_order=LoopOrder.PIXELS_OUTER,
    )
    layer = Layer(
        operation=Operation.CONV,
        in_channels=row.whole("ci"),
        out_channels=row.whole("co"),
        in_height=row.whole("h"),
        in_width=row.whole("w"),
        kernel_height=row.whole("kh"),
        kernel_width=row.whole("kw"),
        stride=row.whole("stride"),
        padding=row.whole("pad"),
    )
    for column, expected in {**_EXPECTED, "ho": layer.out_height, "wo": layer.out_width}.items():
        if not row.is_empty(column) and row.whole(column) != expected:
            raise StorageError(f"{row.place}: {column} must be {expected}, got {row.text(column)}")
    return Measurement(
        engine="vta",
        board=row.text("board"),
        campaign=f"{row.text('section')}, {row.text('date')[:7]}",
        source=f"{_SOURCE}, {row.text('file')}",
        date=row.text("date"),
        clock_mhz=clock_mhz,
        latency_ms=Percentiles(row.positive("time_s") * 1e3),
        layers=(MeasuredLayer(layer, mapping=mapping),),
        accelerator=accelerator,
        batch=row.whole("n"),
        settings={"threads": min(splits["oc_nthread"] * splits["h_nthread"], 2)},
    )


def _engine(row: Row) -> tuple[Accelerator, float]:
    """Return the engine of a row and the clock in MHz at which it ran."""
    board, block = row.text("board"), row.whole("block")
    clock_mhz, axi_bits = _CLOCKS.get(board, (None, None))
    if not row.is_empty("clock_mhz"):
        clock_mhz = row.positive("clock_mhz")
    if not row.is_empty("axi_bits"):
        axi_bits = row.whole("axi_bits")
    if clock_mhz is None or axi_bits is None:
        known = ", ".join(_CLOCKS)
        raise StorageError(
            f"{row.place}: clock_mhz and axi_bits must be given for board {board!r}, as they are known of {known} alone"
        )
    return Accelerator(
        pe_rows=block,
        pe_cols=block,
        pe_pixels=row.whole("batch_rows"),
        pack=1,
        ifmap_kib=_half_kib(row, "inp_buf_bytes"),
        weight_kib=_half_kib(row, "wgt_buf_bytes"),
        ofmap_kib=_half_kib(row, "acc_buf_bytes"),
        axi_bits=axi_bits,
        clock_mhz=math.ceil(clock_mhz),
    ), clock_mhz


def _half_kib(row: Row, column: str) -> int:
    halves, rest = divmod(row.whole(column), _BUFFER_BYTES)
    if rest:
        raise StorageError(f"{row.place}: {column} must be a multiple of {_BUFFER_BYTES}, got {row.text(column)}")
    return halves


def _splits(row: Row) -> dict[str, list[int]]:
    """Return the sizes of each split of a row's tiling: the outer one where it is given, and the inner one."""
    found = _SPLIT.findall(row.text("tiling"))
    splits = {name: [int(size) for size in sizes if size] for name, *sizes in found}
    for name in ("tile_co", "tile_ci", "tile_h", "tile_w", "oc_nthread", "h_nthread"):
        if splits.get(name, [0])[-1] < 1:
            raise StorageError(f"{row.place}: tiling must give {name}, above zero, got {row.text('tiling')!r}")
    return splits


def _check_tiling(row: Row, run: Measurement) -> None:
    """Check that a tiling has as many tiles as its tile sizes cut the layer into."""
    layer, accelerator = run.layers[0].layer, run.accelerator
    assert accelerator is not None
    extents = {
        "tile_h": layer.out_height,
        "tile_w": layer.out_width,
        "tile_ci": -(-layer.in_channels // accelerator.pe_cols),
        "tile_co": -(-layer.out_channels // accelerator.pe_rows),
    }
    splits = _splits(row)
    for name, extent in extents.items():
        *tiles, size = splits[name]
        if tiles and tiles[0] != -(-extent // size):
            raise StorageError(f"{row.place}: tiling must cut {extent} into tiles, got {name}=[{tiles[0]},{size}]")
