"""The engine between AXI models that are not this project's (cocotbext-axi), in Icarus Verilog."""

import shutil
from pathlib import Path

import pytest
from support.verilog.engines import SMALLEST
from support.verilog.simulated import render_engine

HERE = Path(__file__).parent


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 12))])
def test_every_port_keeps_to_the_protocol_of_somebody_elses_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    if shutil.which("iverilog") is None:
        pytest.skip("iverilog is not on the PATH (Debian: apt-get install iverilog)")
    runner = pytest.importorskip("cocotb_tools.runner", reason="cocotb is not installed: pip install cocotb")
    pytest.importorskip("cocotbext.axi", reason="cocotbext-axi is not installed: pip install cocotbext-axi")
    # The simulator's Python looks where this one does.
    monkeypatch.syspath_prepend(HERE)
    render_engine(tmp_path, SMALLEST)
    icarus = runner.get_runner("icarus")
    icarus.build(
        sources=sorted((tmp_path / "rtl").glob("*.v")),
        hdl_toplevel="engine_axi",
        includes=[tmp_path / "rtl"],
        build_dir=tmp_path / "built",
        timescale=("1ns", "1ps"),
    )
    try:
        results = icarus.test(
            test_module="protocol_bench",
            hdl_toplevel="engine_axi",
            build_dir=tmp_path / "built",
            test_dir=tmp_path,
            extra_env={"FOLDER": str(tmp_path), "SEED": str(seed)},
        )
    except SystemExit as error:  # so the runner says that a test failed, and a process of several would end
        pytest.fail(f"the simulation ended with {error.code}")
    count, failed = runner.get_results(results)
    assert (count, failed) == (5, 0)
