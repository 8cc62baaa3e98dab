"""Stages of the engine in C++, each beside the formulas of its test in C++, for engines of clearly different shape."""

from pathlib import Path

import pytest
from support.engine_cpp import run_bench
from support.verilog.engines import ENGINES, MORE_WITH_MAPS, SMALLEST

from hw_templates.conv_engine.rtl_config import EngineShape

HERE = Path(__file__).parent
SHAPES = ENGINES | MORE_WITH_MAPS | {"smallest": SMALLEST}


@pytest.fixture(params=list(SHAPES))
def shape(request: pytest.FixtureRequest) -> EngineShape:
    return SHAPES[request.param]


def test_the_window_reads_what_each_tap_needs(tmp_path: Path, shape: EngineShape) -> None:
    assert run_bench(tmp_path, shape, HERE / "window.cpp", []) >= 400_000


def test_the_array_adds_up_the_products_of_every_operation(tmp_path: Path, shape: EngineShape) -> None:
    assert run_bench(tmp_path, shape, HERE / "compute.cpp", ["compute"]) > 20_000
