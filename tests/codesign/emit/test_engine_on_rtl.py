"""Random programs on the Verilog of engines of clearly different shape: their bits, and all that is stated of them."""

from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest
from support.verilog.engine_programs import random_program
from support.verilog.engines import ENGINES, simulation_of
from support.verilog.random_engine_chains import random_chain_program

from cost_models.engine.counts import count_program
from cost_models.engine.cycles import program_cycles
from cost_models.engine.stages import MemoryTiming
from hw_templates.conv_engine.isa import TRIPS

MEMORIES = (
    ((), MemoryTiming(latency_cycles=60)),
    (("--latency", "5", "--jitter", "40", "--pauses", "60"), None),
    (("--bytes-a-cycle", "6"), MemoryTiming(latency_cycles=60, bytes_a_cycle=6)),
)
"""Options of a simulation, and the same memory for the stated cycles, which know no jitter."""
PROGRAMS, MANY_PROGRAMS = 43, 286
"""For each engine: together 301 in every run of the tests, and 2,002 on demand."""
FIRST_SEED = 2000
"""No constant of the stated cycles was fitted to these programs."""


def run_programs(name: str, seeds: range, folder: Path, factory: pytest.TempPathFactory) -> None:
    """Compare programs with what they must make, and with what is stated of them.

    Layers by themselves, one to three, and as many groups of layers that read each other's maps take turns.
    """
    simulation = simulation_of(name, factory)
    stated_cycles, counted_cycles, deviations = 0.0, 0, list[float]()
    for seed in seeds:
        made = random_chain_program if seed % 2 else random_program
        program = made(folder / f"program{seed}", ENGINES[name], 1 + seed % 3, seed)
        options, timing = MEMORIES[seed // 3 % len(MEMORIES)]
        run = program.simulate(simulation, *options)
        assert not run.differing, f"seed {seed}: {run.differing[0].tiled}"
        counts, ports = count_program(program.steps)
        stated = [astuple(count.trips) for count in counts]
        assert run.counters[list(TRIPS.names)].tolist() == stated, f"seed {seed}"
        assert run.ports == ports, f"seed {seed}"
        if timing is not None:
            steps, total = program_cycles(program.steps, timing)
            stated_cycles, counted_cycles = stated_cycles + total, counted_cycles + run.cycles
            deviations += list(np.array([each.counted for each in steps]) / run.counters["total_cycles"] - 1)
    assert stated_cycles == pytest.approx(counted_cycles, rel=0.02)
    assert np.quantile(np.abs(deviations), 0.9) < 0.02, deviations


@pytest.mark.parametrize("name", ENGINES)
def test_random_programs_are_bit_exact_and_take_what_is_stated(
    name: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    run_programs(name, range(FIRST_SEED, FIRST_SEED + PROGRAMS), tmp_path, tmp_path_factory)


@pytest.mark.long
@pytest.mark.parametrize("name", ENGINES)
def test_many_more_random_programs_are_and_do_too(
    name: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    run_programs(name, range(3 * FIRST_SEED, 3 * FIRST_SEED + MANY_PROGRAMS), tmp_path, tmp_path_factory)
