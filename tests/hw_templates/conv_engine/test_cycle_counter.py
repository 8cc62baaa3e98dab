import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

BENCH = """
module bench;
    reg clock = 0;
    reg reset_n = 0;
    wire [31:0] cycles;
    always #5 clock = !clock;
    cycle_counter dut (.aclk(clock), .aresetn(reset_n), .cycles(cycles));
    initial begin
        repeat (3) @(negedge clock);
        $display("%0d", cycles);
        reset_n = 1;
        repeat (7) @(negedge clock);
        $display("%0d", cycles);
        repeat (100) @(negedge clock);
        $display("%0d", cycles);
        $finish;
    end
endmodule
"""


def test_it_counts_every_cycle_from_reset_on(tmp_path: Path) -> None:
    if shutil.which("iverilog") is None:
        pytest.skip("iverilog is not on the PATH (Debian: apt-get install iverilog)")
    (tmp_path / "bench.v").write_text(BENCH)
    (tmp_path / "counter.v").write_text(files("hw_templates").joinpath("conv_engine/rtl/cycle_counter.v").read_text())
    command = ["iverilog", "-g2001", "-Wall", "-Wno-timescale", "-o", "bench", "counter.v", "bench.v"]
    subprocess.run(command, cwd=tmp_path, check=True)
    shown = subprocess.run(["./bench"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert shown.split() == ["0", "7", "107"]
