"""Random programs on the engine in C++: their bits, and the iterations, words and bursts that are stated of them."""

from dataclasses import astuple
from pathlib import Path

import pytest
from support.verilog.engine_programs import random_program
from support.verilog.engines import ENGINES, MORE_WITH_MAPS, cpp_simulation_of
from support.verilog.random_engine_chains import random_chain_program

from cost_models.engine.counts import count_program
from hw_templates.conv_engine.isa import TRIPS

PROGRAMS, MANY_PROGRAMS, SANITIZED = 24, 286, 8
"""For each engine, in every run of the tests, on demand, and under sanitizers."""
FIRST_SEED = 2000


def run_programs(simulation: Path, name: str, seeds: range, folder: Path) -> None:
    """Compare programs with what they must make, and with what is stated of them.

    Layers by themselves, one to three, and as many groups of layers that read each other's maps take turns.
    """
    for seed in seeds:
        made = random_chain_program if seed % 2 else random_program
        program = made(folder / f"program{seed}", (ENGINES | MORE_WITH_MAPS)[name], 1 + seed % 3, seed)
        run = program.simulate(simulation)
        assert not run.differing, f"seed {seed}: {run.differing[0].tiled}"
        counts, ports = count_program(program.steps)
        stated = [astuple(count.trips) for count in counts]
        assert run.counters[list(TRIPS.names)].tolist() == stated, f"seed {seed}"
        assert run.ports == ports, f"seed {seed}"


@pytest.mark.parametrize("name", ENGINES)
def test_random_programs_are_bit_exact_and_take_what_is_stated(
    name: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    simulation = cpp_simulation_of(name, tmp_path_factory)
    run_programs(simulation, name, range(FIRST_SEED, FIRST_SEED + PROGRAMS), tmp_path)


@pytest.mark.parametrize("name", ["weight port of two words", "maps on chip, 3 banks, single weights and sums"])
def test_they_do_nothing_that_is_undefined(name: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    simulation = cpp_simulation_of(name, tmp_path_factory, sanitize=True)
    run_programs(simulation, name, range(3 * FIRST_SEED, 3 * FIRST_SEED + SANITIZED), tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("name", [*ENGINES, *MORE_WITH_MAPS])
def test_many_more_random_programs_are_and_do_too(
    name: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    simulation = cpp_simulation_of(name, tmp_path_factory)
    run_programs(simulation, name, range(3 * FIRST_SEED, 3 * FIRST_SEED + MANY_PROGRAMS), tmp_path)
