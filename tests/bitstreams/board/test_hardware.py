from pathlib import Path

import pytest
from support.boards.twins import ACCELERATOR
from support.verilog.engines import SMALLEST

from bitstreams.board.hardware import Hardware
from hw_templates.board import load_board
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.conv_engine.program import read_program
from hw_templates.foundation.errors import InvalidValueError

BOARD = load_board("pynq-z2")


def test_a_program_is_checked_by_the_rules_of_its_format(zynq_project: Path, verilog_project: Path) -> None:
    cpp, verilog = read_program(zynq_project), read_program(verilog_project, Implementation.RTL)
    checked = Hardware(BOARD, "0" * 64, ACCELERATOR, Implementation.HLS).check(cpp)
    assert (len(checked.accesses), checked.least_cycles, checked.most_cycles) == (cpp.layer_count, 0, 0)
    checked = Hardware(BOARD, "0" * 64, SMALLEST.accelerator, Implementation.RTL).check(verilog)
    assert len(checked.accesses) == verilog.layer_count
    assert 0 < checked.least_cycles < checked.most_cycles


def test_a_program_for_the_other_implementation_is_refused(verilog_project: Path) -> None:
    for own, other, version in (
        (Implementation.HLS, Implementation.RTL, 4),
        (Implementation.RTL, Implementation.HLS, 5),
    ):
        hardware = Hardware(BOARD, "0" * 64, SMALLEST.accelerator, own)
        with pytest.raises(
            InvalidValueError,
            match=rf"^program\.isa_version: must be {version}, which the engine in {own} runs, got {9 - version}$",
        ):
            hardware.check(read_program(verilog_project, other))
