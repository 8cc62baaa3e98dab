import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from support.mutations import drive, from_file, mutated_json

from codesign.commands.calibration.campaign import LOSSES, Campaign, Failure, opened
from cost_models.mapping.mapped_layer import MappedLayer
from cost_models.mapping.mapping import LoopOrder, Mapping
from cost_models.measurements.measurement import MeasuredLayer, Measurement, Percentiles, RunPlan
from cost_models.workload import Layer, Operation
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.errors import BoardError, InvalidValueError, StorageError

ACCELERATOR = Accelerator(
    pe_rows=8,
    pe_cols=8,
    pe_pixels=2,
    pack=1,
    ifmap_kib=8,
    weight_kib=8,
    ofmap_kib=8,
    axi_bits=64,
    clock_mhz=100,
)
MAPPING = Mapping(
    tile_out_channels=8, tile_in_channels=8, tile_height=2, tile_width=2, loop_order=LoopOrder.PIXELS_OUTER
)
RUNS = tuple(
    (
        MappedLayer(
            Layer(operation=Operation.CONV, in_channels=8, out_channels=8, in_height=size, in_width=size), MAPPING
        ),
    )
    for size in range(4, 8)
)
PLAN = RunPlan(board="pynq-z2", accelerator=ACCELERATOR, runs=RUNS)


def measured(run: int, bitstream: str = "ab" * 32) -> Measurement:
    return Measurement(
        engine="conv_engine_hls",
        board="pynq-z2",
        campaign="twin",
        source="twin (simulated)",
        clock_mhz=100.0,
        latency_ms=Percentiles(1.0),
        date="2026-11-26",
        bitstream=bitstream,
        layers=tuple(map(MeasuredLayer.of, RUNS[run])),
        accelerator=ACCELERATOR,
    )


def reopened(path: Path, plan: RunPlan = PLAN) -> Campaign:
    with opened(plan, path) as campaign:
        return campaign


def test_what_is_measured_or_skipped_is_not_done_again(tmp_path: Path) -> None:
    path = tmp_path / "board.jsonl"
    with opened(PLAN, path) as campaign:
        assert campaign.todo == list(RUNS)
        campaign.add(measured(1))
        assert campaign.fail(RUNS[0], Failure.HANG, BoardError("it hangs"))
        assert campaign.todo == [RUNS[2], RUNS[3]]
    assert reopened(path).todo == [RUNS[2], RUNS[3]]
    assert reopened(path).skipped_of_plan == 1
    assert reopened(path, replace(PLAN, runs=RUNS[:2])).todo == []
    campaign.failures.unlink()
    assert reopened(path).todo == [RUNS[0], RUNS[2], RUNS[3]]


def test_a_run_is_blamed_for_a_lost_connection_only_after_several_whenever_they_were(tmp_path: Path) -> None:
    path = tmp_path / "board.jsonl"
    for loss in range(1, LOSSES + 1):
        with opened(PLAN, path) as campaign:
            assert campaign.fail(RUNS[2], Failure.LOST, BoardError("gone")) == (loss == LOSSES)
    assert RUNS[2] not in reopened(path).todo


@pytest.mark.parametrize("kept", [1, 40, 200])
def test_lines_that_a_killed_process_left_unfinished_do_not_count(kept: int, tmp_path: Path) -> None:
    path = tmp_path / "board.jsonl"
    with opened(PLAN, path) as campaign:
        campaign.add(measured(0))
        campaign.add(measured(1))
        campaign.fail(RUNS[2], Failure.WRONG, BoardError("odd"))
        campaign.fail(RUNS[3], Failure.WRONG, BoardError("odd"))
    for file in (path, campaign.failures):
        lines = file.read_bytes().splitlines(keepends=True)
        file.write_bytes(lines[0] + lines[1][:kept])
    assert reopened(path).todo == [RUNS[1], RUNS[3]]
    path.write_bytes(path.read_bytes()[:kept])
    assert reopened(path).todo == [RUNS[0], RUNS[1], RUNS[3]]


def test_two_bitstreams_clocks_boards_and_engines_are_never_mixed(tmp_path: Path) -> None:
    path = tmp_path / "board.jsonl"
    with opened(PLAN, path) as campaign:
        campaign.check_bitstream("cd" * 32)
        campaign.add(measured(0))
        campaign.check_bitstream("ab" * 32)
        with pytest.raises(InvalidValueError, match=r"bitstream: must be abababababab, whose runs .*'cdcdcdcdcdcd'"):
            campaign.check_bitstream("cd" * 32)
        campaign.check_clock(99.99)
        with pytest.raises(InvalidValueError, match=r"clock_mhz: must be 100, .* got '50'"):
            campaign.check_clock(50.0)
    with pytest.raises(StorageError, match=r"board\.jsonl: holds runs of another engine or board"):
        reopened(path, replace(PLAN, board="zcu104"))
    with pytest.raises(StorageError, match=r"board\.jsonl: holds runs of another engine or board"):
        reopened(path, replace(PLAN, accelerator=replace(ACCELERATOR, ofmap_kib=16)))


def test_a_file_is_one_campaigns_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "board.jsonl"
    with (
        opened(PLAN, path),
        pytest.raises(StorageError, match=r"the campaign of board\.jsonl is in use by another process"),
        opened(PLAN, path),
    ):
        pass


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("{}", "failure.kind: must be given, got None"),
        ("[]", "failure: must be an object, got []"),
        ('{"layers": [], "kind": "boredom"}', "failure.kind: must be one of lost, hang, wrong, got 'boredom'"),
        ("odd", "failure: must be sound JSON"),
    ],
)
def test_a_line_that_is_no_failure_is_named(line: str, fault: str, tmp_path: Path) -> None:
    path = tmp_path / "board.jsonl"
    with opened(PLAN, path) as campaign:
        campaign.fail(RUNS[0], Failure.HANG, BoardError("it hangs"))
    record = json.loads(campaign.failures.read_text())
    assert (record["kind"], record["error"]) == ("hang", "it hangs")
    campaign.failures.write_text(campaign.failures.read_text() + line + "\n")
    with pytest.raises(StorageError, match=rf"board\.failures\.jsonl:2: {re.escape(fault)}.*; remove the line"):
        reopened(path)


def test_any_spoilt_line_of_a_failure_is_read_or_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "board.jsonl"
    with opened(PLAN, path) as campaign:
        campaign.fail(RUNS[0], Failure.HANG, BoardError("it hangs"))
    record = json.loads(campaign.failures.read_text())
    read = from_file(campaign.failures, lambda: reopened(path))
    accepted, refused = drive(read, mutated_json(record, 2_000))
    assert accepted > 20
    assert refused > 500
