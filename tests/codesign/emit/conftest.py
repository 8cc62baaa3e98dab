"""Programs that run what their arguments say on an engine, made once for all tests of a process."""

from pathlib import Path

import pytest
from support.engine_cpp import FLAGS, SANITIZERS, compiled
from support.verilog.engine_bench import SHAPE
from support.verilog.simulated import build_engine_test, need_verilator, render_engine

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def verilog_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The engine's Verilog."""
    need_verilator()
    return build_engine_test(tmp_path_factory.mktemp("engine"), SHAPE, HERE / "engine_runs.cpp")


@pytest.fixture(scope="session")
def cpp_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The engine's C++, under sanitizers."""
    folder = tmp_path_factory.mktemp("engine")
    render_engine(folder, SHAPE)
    sources = sorted((folder / "hls").glob("*.cpp"))
    return compiled(
        folder / "hls_runs", [HERE / "hls_runs.cpp", *sources], [*FLAGS, *SANITIZERS, f"-I{folder / 'hls'}"]
    )
