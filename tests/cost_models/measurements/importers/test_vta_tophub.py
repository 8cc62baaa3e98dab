import csv
from pathlib import Path

import pytest
from support.mutations import drive, mutated_text
from support.shared_data import shared_data

from cost_models.measurements.importers.vta_tophub import read_vta_tophub
from hw_templates.foundation.errors import StorageError

TABLE = """file,section,board,n,ci,h,w,co,kh,kw,stride,pad,tiling,time_s,date,batch_rows,block,inp_buf_bytes,\
wgt_buf_bytes,acc_buf_bytes
log,Net,pynq,4,64,28,28,128,3,3,2,1,"tile_b=[1,1];tile_h=[2,7];tile_w=[1,14];tile_ci=[4,2];tile_co=[4,4];\
oc_nthread=2;h_nthread=1",0.004,2020-02-03,4,8,32768,65536,65536
"""
TILING = "{};tile_ci=1;tile_co=1;oc_nthread=1;h_nthread=1"


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
    assert (ran.layer.out_height, run.batch, run.latency_ms.p50, run.campaign) == (14, 4, 4.0, "Net, 2020-02")


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


def write_table(path: Path, *changes: dict[str, str]) -> Path:
    """A table with one row for each of ``changes``: the sound row with these cells, which may be in new columns."""
    (sound,) = csv.DictReader(TABLE.splitlines())
    columns = list(dict.fromkeys([*sound, *(name for change in changes for name in change)]))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows({**sound, **change} for change in changes)
    return path


def test_rows_that_failed_are_left_out_and_counted(tmp_path: Path) -> None:
    failed = {"err": "4", "time_s": "1000000000.0"}
    path = write_table(tmp_path / "table.csv", failed, {"err": "0"}, {"err": "2", "time_s": ""})
    lines: list[str] = []
    (run,) = read_vta_tophub(path, lines.append)
    assert run.latency_ms.p50 == 4.0
    assert lines == [f"2 of 3 rows: their measurement failed (err); the first is {path}:2"]
    with pytest.raises(StorageError, match=r"table\.csv: must hold a row that was measured, and all 1 failed"):
        read_vta_tophub(write_table(path, failed))


def test_copies_of_a_time_are_one_group_unless_another_convolution_gave_it(tmp_path: Path) -> None:
    path = write_table(
        tmp_path / "table.csv",
        {"copied_cost": "1", "section": "Other"},
        {"copied_cost": "0"},
        {"copied_cost": "1", "co": "256", "tiling": TILING.format("tile_h=[9,9];tile_w=1")},
        {"copied_cost": "0", "time_s": "0.005"},
        {"copied_cost": "0", "time_s": "0.005", "section": "Other"},
        {"copied_cost": "1", "time_s": "0.006"},
        {"copied_cost": "0", "time_s": "0.007"},
        {"copied_cost": "0", "time_s": "0.007"},
    )
    lines: list[str] = []
    runs = read_vta_tophub(path, lines.append)
    assert [(run.latency_ms.p50, run.group) for run in runs] == [
        (4.0, "copies of 4 ms"),
        (4.0, "copies of 4 ms"),
        (5.0, "copies of 5 ms"),
        (5.0, "copies of 5 ms"),
        (6.0, "copies of 6 ms"),
        (7.0, None),
    ]
    assert lines == [
        f"1 of 8 rows: their time is that of another convolution (copied_cost); the first is {path}:4",
        f"1 of 8 rows: they are there twice; the first is {path}:9",
    ]


def test_the_clock_of_a_board_that_is_not_known_must_be_given(tmp_path: Path) -> None:
    other = {"board": "ultra96", "block": "16", "batch_rows": "1", "tiling": TILING.format("tile_h=2;tile_w=14")}
    path = write_table(tmp_path / "table.csv", other)
    with pytest.raises(StorageError, match=r"table\.csv:2: clock_mhz and axi_bits must be given for board 'ultra96'"):
        read_vta_tophub(path)
    (run,) = read_vta_tophub(write_table(path, {**other, "clock_mhz": "332.5", "axi_bits": "128"}))
    assert run.accelerator is not None
    assert (run.clock_mhz, run.accelerator.clock_mhz, run.accelerator.axi_bits) == (332.5, 333, 128)
    (run,) = read_vta_tophub(write_table(path, {"clock_mhz": "125"}))
    assert run.clock_mhz == 125


@pytest.mark.parametrize(
    ("change", "message"),
    [
        # 14,450,688 products a batch of 4 over 256 a cycle are 225,792 cycles.
        ({"time_s": "0.00225"}, "latency_ms: must be at least 2.258 ms, the roofline of vta at 100 MHz, got 2.25;"),
        # A layer whose bytes take longer than its products: 64 x 14 x 14 x 4 and 64 x 8 at 8 a cycle.
        (
            {"kh": "1", "kw": "1", "pad": "0", "co": "8", "time_s": "0.00006",
             "tiling": TILING.format("tile_h=14;tile_w=14")},
            "latency_ms: must be at least 0.06336 ms, the roofline",
        ),
        ({"i_bits": "4"}, "i_bits must be 8, got 4"),
        ({"op": "dense"}, "op must be conv2d, got 'dense'"),
        ({"ho": "28"}, "ho must be 14, got 28"),
        ({"inp_buf_bytes": "33000"}, "inp_buf_bytes must be a multiple of 2048, got 33000"),
        ({"time_s": "0"}, "time_s must be above zero, got 0"),
        ({"ci": "0"}, "layer.in_channels: must be"),
        ({"tiling": TILING.format("tile_h=[3,7];tile_w=14")}, "tiling must cut 14 into tiles, got tile_h=[3,7]"),
        ({"tiling": TILING.format("tile_h=0;tile_w=14")}, "tiling must give tile_h, above zero, got"),
    ],
)  # fmt: skip
def test_a_row_that_no_such_engine_gives_is_refused(change: dict[str, str], message: str, tmp_path: Path) -> None:
    path = write_table(tmp_path / "table.csv", {}, change)
    with pytest.raises(StorageError) as caught:
        read_vta_tophub(path)
    assert str(caught.value).startswith(f"{path}:3: {message}")


def test_how_many_rows_are_above_the_roofline_is_said(tmp_path: Path) -> None:
    path = write_table(tmp_path / "table.csv", {"time_s": "0.001"}, {}, {"time_s": "0.0011"}, {"time_s": "0.0012"})
    with pytest.raises(StorageError, match=r"table\.csv:2: .* \(which 2 more runs break\), got 1\.0"):
        read_vta_tophub(path)


def test_whatever_a_table_holds_is_read_or_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    sample = write_table(path, {"err": "0", "copied_cost": "0"}, {"err": "1"}, {"time_s": "0.005"}).read_text()

    def read(content: bytes) -> None:
        path.write_bytes(content)
        assert read_vta_tophub(path)

    accepted, refused = drive(read, mutated_text(sample, 2_000))
    assert accepted > 50
    assert refused > 500


def test_the_published_table() -> None:
    path = shared_data("vta_tophub") / "vta_tophub_conv.csv"
    lines: list[str] = []
    runs = read_vta_tophub(path, lines.append)
    assert lines == []
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert len(runs) == len(rows)
    for run, row in zip(runs, rows, strict=True):
        assert run.layers[0].layer.macs * run.batch == int(row["macs"])
        assert run.latency_ms.p50 == pytest.approx(1e3 * float(row["time_s"]))
    assert sorted([r.campaign for r in runs].count(name) for name in {r.campaign for r in runs}) == [10, 10, 22]
