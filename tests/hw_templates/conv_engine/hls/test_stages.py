"""Stages of the engine in C++, each beside the formulas of its test in C++, for engines of clearly different shape."""

from pathlib import Path

import pytest
from support.engine_cpp import run_bench
from support.verilog.engines import ENGINES, MORE_WITH_MAPS, SMALLEST

from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.engine_shape import EngineShape

HERE = Path(__file__).parent
SIZES = {"pe_pixels": 1, "pack": 2, "ifmap_kib": 16, "weight_kib": 32, "ofmap_kib": 8, "map_kib": 12, "axi_bits": 64}
# Lines of two words go round three banks, those that are read or those that are written.
ROUND = {
    f"{rows} rows, {cols} columns": EngineShape(
        accelerator=Accelerator(pe_rows=rows, pe_cols=cols, clock_mhz=100, **SIZES)
    )
    for rows, cols in ((24, 16), (16, 24))
}
SHAPES = ENGINES | MORE_WITH_MAPS | ROUND | {"smallest": SMALLEST}
EVERY_RUN = (
    "7 pixels, unpacked, kernels to 11",
    "1 pixel, 32-bit ports",
    "weight port of two words",
    "maps on chip, 3 banks, single weights and sums",
    "24 rows, 16 columns",
)


@pytest.fixture(
    params=[*EVERY_RUN, *(pytest.param(name, marks=pytest.mark.long) for name in SHAPES if name not in EVERY_RUN)]
)
def shape(request: pytest.FixtureRequest) -> EngineShape:
    return SHAPES[request.param]


def test_the_window_reads_what_each_tap_needs(tmp_path: Path, shape: EngineShape) -> None:
    assert run_bench(tmp_path, shape, HERE / "window.cpp", []) >= 400_000


def test_the_array_adds_up_the_products_of_every_operation(tmp_path: Path, shape: EngineShape) -> None:
    assert run_bench(tmp_path, shape, HERE / "compute.cpp", ["compute"]) > 20_000


def test_the_loader_of_maps_puts_every_word_in_its_bank(tmp_path: Path, shape: EngineShape) -> None:
    assert run_bench(tmp_path, shape, HERE / "load_ifmap.cpp", ["load_ifmap"]) >= 100_000


def test_the_loader_of_residuals_keeps_the_order_of_words(tmp_path: Path, shape: EngineShape) -> None:
    assert run_bench(tmp_path, shape, HERE / "load_residual.cpp", ["load_residual"]) >= 100_000


def test_the_store_requantises_and_puts_results_in_their_places(tmp_path: Path, shape: EngineShape) -> None:
    assert run_bench(tmp_path, shape, HERE / "store.cpp", ["store"]) >= 200_000
