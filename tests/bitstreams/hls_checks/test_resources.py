"""The products that the cost model states, beside those that clang 14 finds in the engine's C++."""

from dataclasses import replace

import pytest
from support.hls.tools import need_compiler
from support.verilog.engines import ENGINES, SMALLEST

from bitstreams.hls_checks.checks import NotChecked
from bitstreams.hls_checks.engine import check_engine
from cost_models.resources import dsp_slices
from hw_templates.board import load_board
from hw_templates.conv_engine.engine_shape import EngineShape

SHAPES = (
    SMALLEST,
    ENGINES["single buffers, 3 pixels"],
    ENGINES["weight port of two words"],
    ENGINES["maps on chip, more rows"],
)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: str(shape.accelerator.ofmap_banks))
def test_slices_are_the_products_of_all_loops(shape: EngineShape) -> None:
    need_compiler()
    view = check_engine(replace(shape, accelerator=replace(shape.accelerator, clock_mhz=100)), load_board("pynq-z2"))
    assert not isinstance(view, NotChecked), view.reason
    assert sum(len(loop.products) for loop in view.loops) == dsp_slices(shape.accelerator)
