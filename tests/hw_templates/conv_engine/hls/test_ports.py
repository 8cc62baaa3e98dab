"""Requests of the engine in C++ at its memory ports, and what the model of a port refuses."""

import subprocess
from pathlib import Path

import pytest
from support.engine_cpp import FLAGS, compiled, run_bench
from support.verilog.engines import ENGINES, SMALLEST
from support.verilog.simulated import render_engine

HERE = Path(__file__).parent
REFUSED = (
    "a word is taken that was not asked for",
    "a request crosses 4 KiB",
    "a request leaves the memory",
    "requests in front of this one",
    "a request of so many words",
    "a word is given that was not asked for",
    "a response is awaited that does not come",
    "a request before the words of the last one",
)


@pytest.mark.parametrize("name", ["double buffers", "1 pixel, 32-bit ports", "128-bit ports"])
def test_parts_are_read_and_written_burst_by_burst(tmp_path: Path, name: str) -> None:
    assert run_bench(tmp_path, ENGINES[name], HERE / "ports.cpp", []) == 10_000


def test_what_would_hang_or_break_the_protocol_ends_a_simulation(tmp_path: Path) -> None:
    render_engine(tmp_path, SMALLEST)
    program = compiled(tmp_path / "misused", [HERE / "misused_port.cpp"], [*FLAGS, f"-I{tmp_path / 'hls'}"])
    for case, complaint in enumerate((*REFUSED, "")):
        done = subprocess.run([program, str(case)], capture_output=True, text=True, check=False)
        assert (done.returncode == 0) == (complaint == ""), case
        assert complaint in done.stderr
