"""The engine's Verilog under corrupted descriptors: every run ends in time, and none reaches beyond its arena."""

from pathlib import Path

import pytest
from support.verilog.corrupted_programs import (
    ABORT,
    CYCLE_LIMIT,
    DESCRIPTOR,
    ENDED,
    LARGE,
    READ_OUTSIDE,
    SMALL,
    WATCHDOG,
    WRITE_OUTSIDE,
    fuzz,
    large_program,
    small_program,
)
from support.verilog.simulated import build_engine_test, need_verilator

from hw_templates.conv_engine.engine_shape import EngineShape

SMALL_CYCLES, LARGE_CYCLES = "800", "8000"
"""Of a limit of cycles: some runs reach their end."""


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


@pytest.mark.parametrize("seeds", [range(0, 5), range(5, 10), range(10, 15), range(15, 20)], ids=str)
def test_a_hundred_thousand_corrupted_descriptors_do_no_harm(small_engine: Path, tmp_path: Path, seeds: range) -> None:
    """On a small engine, whose sequencer and memory ports are most of it, and with few cycles each."""
    codes = fuzz(small_engine, tmp_path, 25_000, SMALL_CYCLES, program=small_program, seeds=seeds)
    assert (codes[[ENDED, READ_OUTSIDE, WRITE_OUTSIDE, DESCRIPTOR, WATCHDOG, CYCLE_LIMIT, ABORT]] > 50).all(), codes


def test_corrupted_programs_do_no_harm_on_a_whole_engine(large_engine: Path, tmp_path: Path) -> None:
    codes = fuzz(large_engine, tmp_path, 500, LARGE_CYCLES, program=large_program, seeds=range(2))
    assert (codes[[ENDED, READ_OUTSIDE, DESCRIPTOR, WATCHDOG, CYCLE_LIMIT, ABORT]] > 5).all(), codes


@pytest.mark.long
def test_a_million_corrupted_descriptors_do_no_harm(small_engine: Path, tmp_path: Path) -> None:
    fuzz(small_engine, tmp_path, 1_000_000, SMALL_CYCLES, program=small_program, seeds=range(100, 200))


@pytest.mark.long
def test_ten_thousand_corrupted_programs_do_no_harm_on_a_whole_engine(large_engine: Path, tmp_path: Path) -> None:
    fuzz(large_engine, tmp_path, 10_000, LARGE_CYCLES, program=large_program, seeds=range(100, 120))
