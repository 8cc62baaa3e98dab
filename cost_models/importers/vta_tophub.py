"""Convolutions that AutoTVM measured on PYNQ boards with VTA: tlc-pack/tophub, vta_v0.06.log and vta_v0.08.log.

A row's ``tiling`` gives splits as [outer, inner]; ``tile_ci`` and ``tile_co`` count blocks of channels. The GEMM core
of batch x block x block becomes an array of ``pe_pixels`` x ``pe_cols`` x ``pe_rows``, and the buffer of one of the
virtual threads becomes one half of a ping-pong pair.
"""

import re
from pathlib import Path

from cost_models.importers.table import Row, read_rows
from cost_models.mapping import LoopOrder, Mapping
from cost_models.measurement import MeasuredLayer, Measurement, Percentiles
from cost_models.workload import Layer, Operation
from hw_templates.accelerator import Accelerator
from hw_templates.errors import StorageError

_SOURCE = "tlc-pack/tophub f05376ec"
_SPLIT = re.compile(r"(\w+)=\[?(\d+)(?:,(\d+)\])?")
_CLOCK_MHZ, _AXI_BITS = 100, 64


def read_vta_tophub(path: Path) -> tuple[Measurement, ...]:
    """The rows of ``vta_tophub_conv.csv``.

    Raises:
        StorageError: the file cannot be read or a row is not as described.
    """
    return tuple(_measurement(row) for row in read_rows(path))


def _measurement(row: Row) -> Measurement:
    batch_rows, block = row.whole("batch_rows"), row.whole("block")
    accelerator = Accelerator(
        pe_rows=block,
        pe_cols=block,
        pe_pixels=batch_rows,
        pack=1,
        ifmap_kib=row.whole("inp_buf_bytes") // 2048,
        weight_kib=row.whole("wgt_buf_bytes") // 2048,
        ofmap_kib=row.whole("acc_buf_bytes") // 2048,
        axi_bits=_AXI_BITS,
        clock_mhz=_CLOCK_MHZ,
        depthwise_lanes=1,
    )
    if not row.is_empty("groups") and row.whole("groups") != 1:
        raise StorageError(f"{row.place}: groups must be 1, got {row.text('groups')}")
    layer = Layer(
        Operation.CONV,
        in_channels=row.whole("ci"),
        out_channels=row.whole("co"),
        in_height=row.whole("h"),
        in_width=row.whole("w"),
        kernel_height=row.whole("kh"),
        kernel_width=row.whole("kw"),
        stride=row.whole("stride"),
        padding=row.whole("pad"),
    )
    splits = {name: int(inner or outer) for name, outer, inner in _SPLIT.findall(row.text("tiling"))}
    try:
        mapping = Mapping(
            tile_out_channels=splits["tile_co"] * block,
            tile_in_channels=splits["tile_ci"] * block,
            tile_height=splits["tile_h"],
            tile_width=splits["tile_w"],
            loop_order=LoopOrder.PIXELS_OUTER,
        )
        threads = splits["oc_nthread"] * splits["h_nthread"]
    except KeyError as error:
        raise StorageError(f"{row.place}: tiling must give {error.args[0]}, got {row.text('tiling')!r}") from error
    return Measurement(
        engine="vta",
        board=row.text("board"),
        campaign=f"{row.text('section')}, {row.text('date')[:7]}",
        source=f"{_SOURCE}, {row.text('file')}",
        date=row.text("date"),
        clock_mhz=_CLOCK_MHZ,
        latency_ms=Percentiles(row.number("time_s") * 1e3),
        layers=(MeasuredLayer(layer, mapping=mapping),),
        accelerator=accelerator,
        batch=row.whole("n"),
        settings={"threads": min(threads, 2)},
    )
