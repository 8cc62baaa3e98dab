import csv
from pathlib import Path

import pytest
from shared_data import shared_data

from cost_models.importers.ofa_dpu import read_ofa_dpu, rounded_channels
from cost_models.workload import Activation, Operation
from hw_templates.errors import StorageError

HEADER = "set,kind,cin,h,w,cout,k,expand,stride,act,se,runs,trace_p05_ms,trace_p50_ms,trace_p95_ms,mem_io_mb\n"
BLOCK = "all,mbconv,40,14,14,40,5,3,1,h_swish,True,500,0.4,0.5,0.6,0.25\n"


def test_a_block_becomes_its_layers(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(HEADER + BLOCK + BLOCK.replace("all", "repeat"))
    (run,) = read_ofa_dpu(path)
    assert [ran.layer.operation for ran in run.layers] == [
        Operation.CONV, Operation.DEPTHWISE, Operation.POOL, Operation.CONV, Operation.CONV, Operation.SCALE,
        Operation.CONV,
    ]  # fmt: skip
    expand, depthwise, _, squeeze, *_, project = [ran.layer for ran in run.layers]
    assert (expand.out_channels, depthwise.kernel_height, squeeze.out_channels, project.residual) == (120, 5, 32, True)
    assert [ran.activation for ran in run.layers[:2]] == [Activation.HSWISH] * 2
    assert run.counters["ddr_bytes"] == 0.25 * 2**20
    assert len(read_ofa_dpu(path, repeats=True)) == 2


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
    with pytest.raises(StorageError, match=r"table\.csv:2: kind must be mbconv, conv or linear, got 'pool'"):
        read_ofa_dpu(path)


@pytest.mark.parametrize(("channels", "rounded"), [(3, 8), (28, 32), (34, 32), (44.9, 48), (11, 16)])
def test_channels_are_rounded_as_the_supernet_rounds_them(channels: float, rounded: int) -> None:
    assert rounded_channels(channels) == rounded


def test_the_published_table() -> None:
    path = shared_data("ofa_dpu_ultra96") / "ofa_mbv3_blocks_dpu_b2304_ultra96.csv"
    runs = read_ofa_dpu(path, repeats=True)
    with path.open() as file:
        rows = list(csv.DictReader(file))
    for run, row in zip(runs, rows, strict=True):
        # The table counts two operations a multiply-accumulate, and some more for other operations.
        gop = 2e-9 * sum(ran.layer.macs for ran in run.layers)
        assert gop == pytest.approx(float(row["workload_gop"]), rel=0.08, abs=6e-4)
