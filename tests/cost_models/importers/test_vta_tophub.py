import csv
from pathlib import Path

import pytest
from shared_data import shared_data

from cost_models.importers.vta_tophub import read_vta_tophub
from hw_templates.errors import StorageError

TABLE = """file,section,board,n,ci,h,w,co,kh,kw,stride,pad,tiling,time_s,date,batch_rows,block,inp_buf_bytes,\
wgt_buf_bytes,acc_buf_bytes
log,Net,pynq,4,64,28,28,128,3,3,2,1,"tile_b=[1,1];tile_h=[2,7];tile_w=[1,14];tile_ci=[4,2];tile_co=[4,4];\
oc_nthread=2;h_nthread=1",0.002,2020-02-03,4,8,32768,65536,65536
"""


def test_a_row_becomes_our_types(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(TABLE)
    (run,) = read_vta_tophub(path)
    accelerator, ran = run.accelerator, run.layers[0]
    assert accelerator is not None
    assert (accelerator.pe_rows, accelerator.pe_cols, accelerator.pe_pixels) == (8, 8, 4)
    assert (accelerator.ifmap_kib, accelerator.weight_kib, accelerator.ofmap_kib) == (16, 32, 32)
    assert ran.mapping is not None
    tile = (
        ran.mapping.tile_out_channels,
        ran.mapping.tile_in_channels,
        ran.mapping.tile_height,
        ran.mapping.tile_width,
    )
    assert tile == (32, 16, 7, 14)
    assert (ran.layer.out_height, run.batch, run.latency_ms.p50, run.campaign) == (14, 4, 2.0, "Net, 2020-02")


def test_a_tiling_that_lacks_a_split_is_named(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(TABLE.replace("tile_co=[4,4];", ""))
    with pytest.raises(StorageError, match=r"table\.csv:2: tiling must give tile_co"):
        read_vta_tophub(path)


def test_grouped_convolutions_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    header, row = TABLE.splitlines()
    path.write_text(f"{header},groups\n{row},64\n")
    with pytest.raises(StorageError, match=r"table\.csv:2: groups must be 1, got 64"):
        read_vta_tophub(path)


def test_the_published_table() -> None:
    path = shared_data("vta_tophub") / "vta_tophub_conv.csv"
    runs = read_vta_tophub(path)
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert len(runs) == len(rows)
    for run, row in zip(runs, rows, strict=True):
        assert run.layers[0].layer.macs * run.batch == int(row["macs"])
        assert run.latency_ms.p50 == pytest.approx(1e3 * float(row["time_s"]))
    assert sorted([r.campaign for r in runs].count(name) for name in {r.campaign for r in runs}) == [10, 10, 22]
