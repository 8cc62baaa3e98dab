import csv
import re
from pathlib import Path

import pytest
from support.mutations import drive, mutated_text
from support.shared_data import shared_data

from cost_models.measurements.importers.ofa_dpu import read_ofa_dpu, rounded_channels
from cost_models.workload import Activation, Operation
from hw_templates.foundation.errors import StorageError

HEADER = "set,kind,cin,h,w,cout,k,expand,stride,act,se,runs,trace_p05_ms,trace_p50_ms,trace_p95_ms,mem_io_mb\n"
BLOCK = "all,mbconv,40,14,14,40,5,3,1,h_swish,True,500,0.4,0.5,0.6,0.25\n"


def test_a_block_becomes_its_layers(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(HEADER + BLOCK + BLOCK.replace("all", "repeat"))
    lines: list[str] = []
    (run,) = read_ofa_dpu(path, lines.append)
    assert lines == [f"1 of 2 rows: they measure again what other rows measure (set); the first is {path}:3"]
    assert [ran.layer.operation for ran in run.layers] == [
        Operation.CONV, Operation.DEPTHWISE, Operation.POOL, Operation.CONV, Operation.CONV, Operation.SCALE,
        Operation.CONV,
    ]  # fmt: skip
    expand, depthwise, _, squeeze, *_, project = [ran.layer for ran in run.layers]
    assert (expand.out_channels, depthwise.kernel_height, squeeze.out_channels, project.residual) == (120, 5, 32, True)
    assert [ran.activation for ran in run.layers[:2]] == [Activation.HSWISH] * 2
    assert run.counters["ddr_bytes"] == 0.25 * 2**20


def test_single_layers(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    stem = "all,conv,3,224,224,24,3,,,relu,,500,0.3,0.3,0.4,0.5\n"
    linear = "all,linear,1536,,,1000,,,,,,500,0.8,0.8,0.8,1.4\n"
    path.write_text(HEADER + stem + linear)
    first, last = (run.layers[0].layer for run in read_ofa_dpu(path))
    assert (first.out_height, first.kernel_height, last.in_channels, last.out_height) == (112, 3, 1536, 1)


def test_an_unknown_kind_is_named(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(HEADER + BLOCK.replace("mbconv", "pool"))
    with pytest.raises(StorageError, match=r"table\.csv:2: kind must be mbconv or conv or linear, got 'pool'"):
        read_ofa_dpu(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("h_swish", "gelu", "act must be relu or h_swish or h_swish_shape, got 'gelu'"),
        ("True", "yes", "se must be True or False, got 'yes'"),
        ("all", "some", "set must be all or repeat, got 'some'"),
        # 2 x 40 x 120 x 14 x 14 of the 1x1 layers and 2 x 120 x 32 of the gate, over 1,152 products a cycle.
        ("0.4,0.5,0.6", "0.004,0.008,0.009", "latency_ms: must be at least 0.0082 ms, the roofline of dpu at 200 MHz"),
        ("0.4,0.5,0.6", "0.5,0.4,0.6", "measurement.latency_ms: must be ascending"),
    ],
)
def test_a_row_that_no_such_engine_gives_is_refused(old: str, new: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(HEADER + BLOCK.replace(old, new))
    with pytest.raises(StorageError) as caught:
        read_ofa_dpu(path)
    assert str(caught.value).startswith(f"{path}:2: {message}")


@pytest.mark.parametrize(
    ("column", "cell", "message"),
    [
        ("target", "DPUCZDX8G_ISA1_B4096_0101", "target must be a DPU B2304, got 'DPUCZDX8G_ISA1_B4096_0101'"),
        ("dpu_subgraphs", "2", "dpu_subgraphs must be 1, got '2'"),
    ],
)
def test_rows_of_another_engine_are_refused(column: str, cell: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(f"{HEADER.strip()},{column}\n{BLOCK.strip()},{cell}\n")
    with pytest.raises(StorageError) as caught:
        read_ofa_dpu(path)
    assert str(caught.value) == f"{path}:2: {message}"


def test_whatever_a_table_holds_is_read_or_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        assert read_ofa_dpu(path)

    accepted, refused = drive(read, mutated_text(HEADER + BLOCK + BLOCK.replace("all", "repeat"), 2_000))
    assert accepted > 50
    assert refused > 500


@pytest.mark.parametrize(("channels", "rounded"), [(3, 8), (28, 32), (34, 32), (44.9, 48), (11, 16)])
def test_channels_are_rounded_as_the_supernet_rounds_them(channels: float, rounded: int) -> None:
    assert rounded_channels(channels) == rounded


def test_the_published_table(tmp_path: Path) -> None:
    published = shared_data("ofa_dpu_ultra96") / "ofa_mbv3_blocks_dpu_b2304_ultra96.csv"
    path = tmp_path / "table.csv"
    path.write_text(re.sub(r"\brepeat\b", "all", published.read_text()))
    runs = read_ofa_dpu(path)
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert len(read_ofa_dpu(published)) < len(rows)
    for run, row in zip(runs, rows, strict=True):
        # The table counts two operations a multiply-accumulate, and some more for other operations.
        gop = 2e-9 * sum(ran.layer.macs for ran in run.layers)
        assert gop == pytest.approx(float(row["workload_gop"]), rel=0.08, abs=6e-4)
