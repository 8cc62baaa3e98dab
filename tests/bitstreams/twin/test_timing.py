import json
from pathlib import Path

import numpy as np
from support.boards.twins import ACCELERATOR

from bitstreams.twin.timing import TwinTiming
from cost_models.coefficients import load_coefficients
from hw_templates.board import load_board
from hw_templates.conv_engine import isa
from hw_templates.conv_engine.program import read_program


def test_a_program_takes_what_the_price_of_its_network_says(zynq_project: Path) -> None:
    program = read_program(zynq_project)
    table = program.arena[: program.layer_count * isa.DESCRIPTOR.itemsize]
    timing = TwinTiming(ACCELERATOR, load_board("pynq-z2"), load_coefficients())
    predicted = json.loads((zynq_project / "project.json").read_text())["predicted"]["latency_ms"]
    cycles = timing.cycles(table, ACCELERATOR.clock_mhz)
    # The closed form and the simulator differ by a few percent at most.
    assert abs(cycles / ACCELERATOR.clock_mhz / 1e3 / predicted - 1) < 0.1
    twice = timing.cycles(table * 2, ACCELERATOR.clock_mhz)
    assert abs(twice - 2 * cycles + load_coefficients().latency.start_cycles) <= 1


def test_what_no_engine_runs_takes_no_cycles() -> None:
    timing = TwinTiming(ACCELERATOR, load_board("pynq-z2"), load_coefficients())
    assert timing.cycles(np.zeros(1, isa.DESCRIPTOR).tobytes(), 100) == 0
    assert timing.cycles(b"\xff" * isa.DESCRIPTOR.itemsize, 100) == 0
