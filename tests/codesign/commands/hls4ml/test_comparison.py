"""The table against prices made here."""

import numpy as np

from codesign.commands.hls4ml.commands import EmittedDataflow
from codesign.commands.hls4ml.comparison import templates_section
from codesign.search.joint_space import DataflowPair
from codesign.supernet.lowering.workloads import lower
from codesign.supernet.spaces.named import DIGITS_STREAM
from cost_models.closed_form.estimate import price
from cost_models.coefficients import load_coefficients
from cost_models.hls4ml.estimate import price_dataflow
from hw_templates.board import load_board
from hw_templates.conv_engine.space import AcceleratorSpace
from hw_templates.hls4ml.parameters import Dataflow, IoType

BOARD = load_board("pynq-z2")
DESIGN = Dataflow(6, IoType.STREAM, 2048, 100)
EMITTED = EmittedDataflow(
    pair=DataflowPair(DIGITS_STREAM.smallest(), DESIGN),
    board=BOARD,
    study="a",
    rule="knee",
    validation_accuracy=0.93,
    test_float32=0.92,
    test_fixed_point=0.9,
)


def test_both_templates_are_priced_for_the_same_subnet():
    engine = AcceleratorSpace(BOARD).sample(np.random.default_rng(0), 1)[0]
    section = templates_section(EMITTED, DIGITS_STREAM, engine, "the engine at hand", load_coefficients())
    workload = lower(DIGITS_STREAM, DIGITS_STREAM.smallest())
    rows = {name: cells for name, *cells in section.table.rows}
    stream = price_dataflow(workload, DESIGN, BOARD)
    other = price(workload, engine, BOARD, load_coefficients())
    assert rows["latency, predicted"] == [f"{other.latency_ms:.4f} ms", f"{stream.latency_ms:.4f} ms"]
    assert rows["DSP slices, predicted"][1] == str(stream.resources.dsp)
    assert "on the engine at hand" in section.text
    assert "90.00%" in section.text
