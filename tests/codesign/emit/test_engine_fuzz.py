"""The engine's Verilog under corrupted descriptors: every run ends in time, and none reaches beyond its arena."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.verilog.engine_programs import engine_program
from support.verilog.engines import ENGINES, SMALLEST
from support.verilog.random_engine_chains import random_chain, write_chain
from support.verilog.random_engine_layers import random_tiled_layer
from support.verilog.simulated import build_engine_test, need_verilator, run

from cost_models.engine.tiles import TiledLayer
from hw_templates.conv_engine.rtl_config import EngineShape

SMALL = replace(SMALLEST, accelerator=replace(SMALLEST.accelerator, map_kib=1))
LARGE = ENGINES["maps on chip, more rows"]
SMALL_CYCLES, LARGE_CYCLES = 800, 8_000
"""Of a limit of cycles: some runs reach their end."""
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
    return built(tmp_path_factory, SMALL)


@pytest.fixture(scope="module")
def large_engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory, LARGE)


def small_program(folder: Path, seed: int) -> None:
    """Write a program of one layer for the small engine."""
    rng = np.random.default_rng(seed)
    engine_program(folder, [small_layer(rng, SMALL)], rng)


def large_program(folder: Path, seed: int) -> None:
    """Write a program for the large engine, of layers that read each other's maps on chip, in bands among them."""
    for number in range(seed * 1000, seed * 1000 + 1000):
        chain = random_chain(LARGE, 1, number)
        steps = chain.compiled().steps
        if 2 < len(steps) < 7 and any(step.places.ofmap.ring for step in steps):
            write_chain(folder, chain, np.random.default_rng(seed))
            return
    raise AssertionError(seed)


def fuzz(
    simulation: Path, folder: Path, runs: int, *, program: Callable[[Path, int], None], most_cycles: int, seeds: range
) -> np.ndarray:
    """Run corrupted copies of a program for each seed; returns how many ended with each code.

    At least 30 % of them pass the engine's check of their descriptors.
    """
    totals = np.zeros(2 + CODES, int)
    for seed in seeds:
        program(folder / str(seed), seed)
        printed = run(simulation, str(folder / str(seed)), str(runs // len(seeds)), str(seed), str(most_cycles))
        totals += np.array(printed.split(), int)
    count, passed, codes = totals[0], totals[1], totals[2:]
    assert count == codes.sum() == runs
    assert passed >= 0.3 * count, codes
    return codes


@pytest.mark.parametrize("seeds", [range(0, 5), range(5, 10), range(10, 15), range(15, 20)], ids=str)
def test_a_hundred_thousand_corrupted_descriptors_do_no_harm(small_engine: Path, tmp_path: Path, seeds: range) -> None:
    """On a small engine, whose sequencer and memory ports are most of it, and with few cycles each."""
    codes = fuzz(small_engine, tmp_path, 25_000, program=small_program, most_cycles=SMALL_CYCLES, seeds=seeds)
    assert (codes[[ENDED, READ_OUTSIDE, WRITE_OUTSIDE, DESCRIPTOR, WATCHDOG, CYCLE_LIMIT, ABORT]] > 50).all(), codes


def test_corrupted_programs_do_no_harm_on_a_whole_engine(large_engine: Path, tmp_path: Path) -> None:
    codes = fuzz(large_engine, tmp_path, 500, program=large_program, most_cycles=LARGE_CYCLES, seeds=range(2))
    assert (codes[[ENDED, READ_OUTSIDE, DESCRIPTOR, WATCHDOG, CYCLE_LIMIT, ABORT]] > 5).all(), codes


@pytest.mark.long
def test_a_million_corrupted_descriptors_do_no_harm(small_engine: Path, tmp_path: Path) -> None:
    seeds = range(100, 200)
    fuzz(small_engine, tmp_path, 1_000_000, program=small_program, most_cycles=SMALL_CYCLES, seeds=seeds)


@pytest.mark.long
def test_ten_thousand_corrupted_programs_do_no_harm_on_a_whole_engine(large_engine: Path, tmp_path: Path) -> None:
    seeds = range(100, 120)
    fuzz(large_engine, tmp_path, 10_000, program=large_program, most_cycles=LARGE_CYCLES, seeds=seeds)
