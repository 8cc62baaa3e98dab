"""The engine's C++ under corrupted descriptors and sanitizers: every run ends, and none reaches beyond its arena."""

from pathlib import Path

import pytest
from support.engine_cpp import FLAGS, SANITIZERS, compiled
from support.verilog.corrupted_programs import (
    CYCLE_LIMIT,
    DESCRIPTOR,
    ENDED,
    LARGE,
    READ_OUTSIDE,
    SMALL,
    WRITE_OUTSIDE,
    fuzz,
    large_program,
    small_program,
)
from support.verilog.simulated import render_engine

from hw_templates.conv_engine.engine_shape import EngineShape

HERE = Path(__file__).parent


def built(factory: pytest.TempPathFactory, shape: EngineShape) -> Path:
    """Return the program that fuzzes an engine, whose integers wrap as those of hardware do."""
    folder = factory.mktemp("engine")
    render_engine(folder, shape)
    flags = [*FLAGS, *SANITIZERS, "-DENGINE_WRAPS", f"-I{folder / 'hls'}", f"-I{folder / 'tb'}"]
    return compiled(folder / "hls_fuzz", [HERE / "hls_fuzz.cpp", *sorted((folder / "hls").glob("*.cpp"))], flags)


@pytest.fixture(scope="module")
def small_engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory, SMALL)


@pytest.fixture(scope="module")
def large_engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory, LARGE)


def test_ten_thousand_corrupted_descriptors_do_no_harm(small_engine: Path, tmp_path: Path) -> None:
    codes = fuzz(small_engine, tmp_path, 10_000, program=small_program, seeds=range(20))
    assert (codes[[ENDED, READ_OUTSIDE, WRITE_OUTSIDE, DESCRIPTOR, CYCLE_LIMIT]] > 50).all(), codes


def test_corrupted_programs_do_no_harm_on_a_whole_engine(large_engine: Path, tmp_path: Path) -> None:
    codes = fuzz(large_engine, tmp_path, 500, program=large_program, seeds=range(2))
    assert (codes[[ENDED, READ_OUTSIDE, DESCRIPTOR, CYCLE_LIMIT]] > 5).all(), codes


@pytest.mark.long
def test_ten_thousand_corrupted_programs_do_no_harm_on_a_whole_engine(large_engine: Path, tmp_path: Path) -> None:
    fuzz(large_engine, tmp_path, 10_000, program=large_program, seeds=range(100, 120))
