"""Programs whose descriptors are corrupted, on either implementation of the engine, and how runs of them ended."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from support.verilog.engine_programs import engine_program
from support.verilog.engines import ENGINES, SMALLEST
from support.verilog.random_engine_chains import random_chain, write_chain
from support.verilog.random_engine_layers import random_tiled_layer
from support.verilog.simulated import run

from cost_models.engine.tiles import TiledLayer
from hw_templates.conv_engine.engine_shape import EngineShape

SMALL = replace(SMALLEST, accelerator=replace(SMALLEST.accelerator, map_kib=1))
LARGE = ENGINES["maps on chip, more rows"]
CODES = 9
ENDED, READ_OUTSIDE, WRITE_OUTSIDE, DESCRIPTOR, WATCHDOG, CYCLE_LIMIT, ABORT = 0, 1, 2, 5, 6, 7, 8
"""Error codes of the engine's status that corrupted descriptors end with; codes 3 and 4 are errors of the memory."""


def _small_layer(rng: np.random.Generator, shape: EngineShape) -> TiledLayer:
    """Return a layer of some hundred cycles, in several tiles."""
    while True:
        tiled = random_tiled_layer(rng, shape)
        layer = tiled.layer
        size = layer.in_height * layer.in_width * layer.in_channels + layer.taps * layer.out_channels
        pixels = layer.out_height * layer.out_width
        if size < 400 and pixels * layer.taps < 200 and tiled.rows.tiles * tiled.cols.tiles > 1:
            return tiled


def small_program(folder: Path, seed: int) -> None:
    """Write a program of one layer for the small engine."""
    rng = np.random.default_rng(seed)
    engine_program(folder, [_small_layer(rng, SMALL)], rng)


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
    simulation: Path, folder: Path, runs: int, *arguments: str, program: Callable[[Path, int], None], seeds: range
) -> npt.NDArray[np.int_]:
    """Run corrupted copies of a program for each seed; returns how many ended with each code.

    At least 30 % of them pass the engine's check of their descriptors.

    Args:
        simulation: what is built of ``engine_fuzz.cpp`` or ``hls_fuzz.cpp``.
        folder: takes the programs.
        runs: of all seeds together.
        arguments: of the simulation, behind folder, runs and seed.
        program: writes the program of a seed.
        seeds: of programs, and of what is done to them.
    """
    totals = np.zeros(2 + CODES, int)
    for seed in seeds:
        program(folder / str(seed), seed)
        printed = run(simulation, str(folder / str(seed)), str(runs // len(seeds)), str(seed), *arguments)
        totals += np.array(printed.split(), int)
    count, passed, codes = totals[0], totals[1], totals[2:]
    assert count == codes.sum() == runs
    assert passed >= 0.3 * count, codes
    return codes
