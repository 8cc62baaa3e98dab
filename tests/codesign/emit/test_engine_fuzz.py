"""The engine's Verilog under corrupted descriptors: every run ends in time, and none reaches beyond its arena."""

from pathlib import Path

import numpy as np
import pytest
from support.verilog.engine_programs import engine_program
from support.verilog.engines import ENGINES, SMALLEST
from support.verilog.random_engine_layers import random_tiled_layer
from support.verilog.simulated import build_engine_test, need_verilator, run

from cost_models.engine.tiles import TiledLayer
from hw_templates.conv_engine.rtl_config import EngineShape

LARGE = ENGINES["double buffers"]
MOST_CYCLES = {1: 800, 3: 8_000}
"""Of a limit of cycles, by layers: some runs reach their end."""
CODES = 9
ENDED, READ_OUTSIDE, WRITE_OUTSIDE, DESCRIPTOR, WATCHDOG, CYCLE_LIMIT, ABORT = 0, 1, 2, 5, 6, 7, 8
"""Error codes of the engine's status that corrupted descriptors end with; codes 3 and 4 are errors of the memory."""


def small_layer(rng: np.random.Generator, shape: EngineShape) -> TiledLayer:
    """Return a layer of some hundred cycles, in several tiles."""
    while True:
        tiled = random_tiled_layer(rng, shape)
        layer = tiled.layer
        size = layer.in_height * layer.in_width * layer.in_channels + layer.taps * layer.out_channels
        pixels = layer.out_height * layer.out_width
        if size < 400 and pixels * layer.taps < 200 and tiled.rows.tiles * tiled.cols.tiles > 1:
            return tiled


def built(factory: pytest.TempPathFactory, shape: EngineShape) -> Path:
    """Return the program that fuzzes an engine."""
    need_verilator()
    return build_engine_test(factory.mktemp("engine"), shape, Path(__file__).parent / "engine_fuzz.cpp")


@pytest.fixture(scope="module")
def small_engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory, SMALLEST)


@pytest.fixture(scope="module")
def large_engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory, LARGE)


def fuzz(simulation: Path, folder: Path, runs: int, *, shape: EngineShape, layers: int, seeds: range) -> np.ndarray:
    """Run corrupted copies of a program for each seed; returns how many ended with each code.

    At least 30 % of them pass the engine's check of their descriptors.
    """
    totals = np.zeros(2 + CODES, int)
    for seed in seeds:
        rng = np.random.default_rng(seed)
        program = folder / str(seed)
        engine_program(program, [small_layer(rng, shape) for _ in range(layers)], rng)
        printed = run(simulation, str(program), str(runs // len(seeds)), str(seed), str(MOST_CYCLES[layers]))
        totals += np.array(printed.split(), int)
    count, passed, codes = totals[0], totals[1], totals[2:]
    assert count == codes.sum() == runs
    assert passed >= 0.3 * count, codes
    return codes


@pytest.mark.parametrize("seeds", [range(0, 5), range(5, 10), range(10, 15), range(15, 20)], ids=str)
def test_a_hundred_thousand_corrupted_descriptors_do_no_harm(small_engine: Path, tmp_path: Path, seeds: range) -> None:
    """On a small engine, whose sequencer and memory ports are most of it, and with few cycles each."""
    codes = fuzz(small_engine, tmp_path, 25_000, shape=SMALLEST, layers=1, seeds=seeds)
    assert (codes[[ENDED, READ_OUTSIDE, WRITE_OUTSIDE, DESCRIPTOR, WATCHDOG, CYCLE_LIMIT, ABORT]] > 50).all(), codes


def test_corrupted_programs_do_no_harm_on_a_whole_engine(large_engine: Path, tmp_path: Path) -> None:
    codes = fuzz(large_engine, tmp_path, 500, shape=LARGE, layers=3, seeds=range(2))
    assert (codes[[ENDED, READ_OUTSIDE, DESCRIPTOR, WATCHDOG, CYCLE_LIMIT, ABORT]] > 5).all(), codes


@pytest.mark.long
def test_a_million_corrupted_descriptors_do_no_harm(small_engine: Path, tmp_path: Path) -> None:
    fuzz(small_engine, tmp_path, 1_000_000, shape=SMALLEST, layers=1, seeds=range(100, 200))


@pytest.mark.long
def test_ten_thousand_corrupted_programs_do_no_harm_on_a_whole_engine(large_engine: Path, tmp_path: Path) -> None:
    fuzz(large_engine, tmp_path, 10_000, shape=LARGE, layers=3, seeds=range(100, 120))
