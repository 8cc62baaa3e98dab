"""The table against prices made here."""

from pathlib import Path

import numpy as np
from support.networks.named_spaces import DIGITS_STREAM

from codesign.report.tables import comparison_section
from codesign.run.folder import Run
from codesign.search.joint_space import JointSpace, Pair
from codesign.supernet.lowering.workloads import lower
from codesign.templates.engine.problem import EngineProblem
from codesign.templates.engine.template import EngineTemplate
from codesign.templates.hls4ml.problem import Hls4mlProblem
from codesign.templates.hls4ml.template import Hls4mlTemplate
from codesign.templates.template import EmittedPair
from cost_models.closed_form.estimate import price
from cost_models.coefficients import load_coefficients
from cost_models.hls4ml.estimate import price_hls4ml
from hw_templates.board import load_board
from hw_templates.conv_engine.space import AcceleratorSpace
from hw_templates.hls4ml.parameters import Hls4mlAccelerator, Hls4mlSpace, IoType

BOARD = load_board("pynq-z2")
DESIGN = Hls4mlAccelerator(6, IoType.STREAM, 2048, 100)


def test_both_templates_are_priced_for_the_same_subnet():
    subnet = DIGITS_STREAM.smallest()
    space = AcceleratorSpace(BOARD).narrow(weight_kib=(64,))
    engine = space.sample(np.random.default_rng(0), 1)[0]
    engines = EngineProblem(JointSpace(DIGITS_STREAM, AcceleratorSpace(BOARD)), load_coefficients())
    streams = Hls4mlProblem(JointSpace(DIGITS_STREAM, Hls4mlSpace(BOARD)))
    on_engine, emitted = (
        EmittedPair(pair=Pair(subnet, accelerator), problem=problem, quantised=0.9, results=Run(Path()))
        for accelerator, problem in ((engine, engines), (DESIGN, streams))
    )
    sides = {"engine": EngineTemplate().datasheet(on_engine), "hls4ml": Hls4mlTemplate().datasheet(emitted)}
    section = comparison_section(emitted, sides)
    workload = lower(DIGITS_STREAM, subnet)
    rows = {name: cells for name, *cells in section.table.rows}
    stream = price_hls4ml(workload, DESIGN, BOARD)
    other = price(workload, engine, BOARD, load_coefficients())
    assert rows["latency, predicted"] == [f"{other.latency_ms:.4f} ms", f"{stream.latency_ms:.4f} ms"]
    assert rows["DSP slices, predicted"][1] == str(stream.resources.dsp)
    assert list(rows)[:5] == [
        "clock", "weights and maps", "latency, predicted", "between images, predicted", "energy, predicted",
    ]  # fmt: skip
    assert "on the engine that won" in section.text
    assert "90.00%" in section.text
