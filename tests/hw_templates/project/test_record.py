from dataclasses import asdict

import pytest

from hw_templates.board import board_record, load_board
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.foundation.errors import InvalidValueError
from hw_templates.foundation.json_records import check_record, parse_json, record_line
from hw_templates.project.record import Prediction, ProjectRecord


@pytest.fixture
def record() -> ProjectRecord:
    board = load_board("pynq-z2")
    accelerator = Accelerator(
        pe_rows=8,
        pe_cols=8,
        pe_pixels=1,
        pack=1,
        ifmap_kib=8,
        weight_kib=8,
        ofmap_kib=8,
        axi_bits=64,
        clock_mhz=100,
    )
    return ProjectRecord(
        board=board_record(board),
        part=board.part,
        accelerator=accelerator,
        hardware_sha256="0",
        program_sha256="0",
        implementation=Implementation.RTL,
        images=1,
        input_scale=1.0,
        output_scale=1.0,
        predicted=Prediction(1.0, 1.0),
        layers=(),
    )


def test_a_record_says_which_implementation_is_built(record: ProjectRecord) -> None:
    assert parse_json(record_line(record), ProjectRecord, "project") == record


def test_a_record_of_version_1_of_the_engine_is_refused(record: ProjectRecord) -> None:
    for values in (asdict(record), {"format": 1, **asdict(record)}):
        with pytest.raises(InvalidValueError, match=r"project\.format: must be 2, which this version reads, got 1"):
            check_record(values, ProjectRecord, "project")


def test_an_unknown_implementation_is_refused(record: ProjectRecord) -> None:
    with pytest.raises(InvalidValueError, match=r"project\.implementation: must be one of hls, rtl, got 'vhdl'"):
        check_record({"format": 2, **asdict(record), "implementation": "vhdl"}, ProjectRecord, "project")
