from pathlib import Path

import pytest
from support.verilog.engines import SMALLEST

from bitstreams.board.hardware import Hardware
from hw_templates.board import load_board
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.conv_engine.program import read_program

BOARD = load_board("pynq-z2")


@pytest.mark.parametrize("implementation", Implementation)
def test_a_program_is_checked_for_either_implementation_alike(
    implementation: Implementation, verilog_project: Path
) -> None:
    program = read_program(verilog_project)
    checked = Hardware(BOARD, "0" * 64, SMALLEST.accelerator, implementation).check(program)
    assert checked == Hardware(BOARD, "0" * 64, SMALLEST.accelerator, Implementation.RTL).check(program)
    assert len(checked.accesses) == program.layer_count
    assert 0 < checked.least_cycles < checked.most_cycles
