"""Small designs of which one knows what they must become."""

import pytest
from support.verilog.synthesised import need_yosys

from bitstreams.building.synthesis import CellCounts, check_structure, count_cells, yosys_version
from hw_templates.foundation.errors import ToolError

NOTHING = {"lut": 0, "memory_lut": 0, "shift_lut": 0, "ff": 0, "dsp": 0, "ramb18": 0, "ramb36": 0}


def module(ports: str, body: str) -> dict[str, str]:
    """Return a project of one module, `design`, and a file that is no Verilog of it."""
    return {
        "rtl/design.v": f"module design #(parameter W = 4) (input clk, {ports});\n{body}\nendmodule\n",
        "tb/other.v": "no Verilog",
    }


REGISTERS = module("input [W-1:0] a, b, output reg [W-1:0] y", "always @(posedge clk) y <= a & b;")


@pytest.mark.parametrize(
    ("project", "parameters", "expected"),
    [
        (REGISTERS, {}, {"lut": 4, "ff": 4}),
        (REGISTERS, {"W": 9}, {"lut": 9, "ff": 9}),
        (
            module(
                "input signed [7:0] a, b, output reg signed [15:0] y",
                "reg signed [7:0] c, d; always @(posedge clk) begin c <= a; d <= b; y <= c * d; end",
            ),
            {},
            {"dsp": 1},
        ),
        (
            module(
                "input write, input [8:0] at, from, input [31:0] a, output reg [31:0] y",
                "reg [31:0] m [0:511]; always @(posedge clk) begin if (write) m[at] <= a; y <= m[from]; end",
            ),
            {},
            {"ramb18": 1},
        ),
        (
            module(
                "input write, input [4:0] at, from, input [5:0] a, output [5:0] y",
                '(* ram_style = "distributed" *) reg [5:0] m [0:31]; assign y = m[from];'
                "always @(posedge clk) if (write) m[at] <= a;",
            ),
            {},
            {"memory_lut": 4},
        ),
        (
            module("input a, output y", "reg [15:0] d; assign y = d[15]; always @(posedge clk) d <= {d[14:0], a};"),
            {},
            {"shift_lut": 1},
        ),
    ],
)
def test_cells_are_counted_by_what_they_are(
    project: dict[str, str], parameters: dict[str, int], expected: dict[str, int]
) -> None:
    need_yosys()
    assert count_cells(project, "design", parameters) == CellCounts(**(NOTHING | expected))


def test_what_yosys_refuses_is_an_error_that_quotes_it() -> None:
    need_yosys()
    with pytest.raises(ToolError, match=r"(?i)syntax error"):
        count_cells({"rtl/design.v": "module design (;"}, "design")
    with pytest.raises(ToolError, match="other_one"):
        check_structure(module("input a, output y", "other_one inner (.a(a), .y(y));"), "design")


@pytest.mark.parametrize(
    ("ports", "body"),
    [
        ("input a, output reg y", "always @* if (clk) y = a;"),
        ("input a, output y", "wire b; assign y = a & b;"),
        ("input a, b, output y", "assign y = a; assign y = b;"),
        ("input a, output y", "wire b; assign b = ~(b & a); assign y = b;"),
    ],
    ids=["a latch", "no driver", "two drivers", "a loop"],
)
def test_a_structure_that_is_not_complete_is_refused(ports: str, body: str) -> None:
    need_yosys()
    with pytest.raises(ToolError, match=r"problems in 'check -assert'|selection is not empty"):
        check_structure(module(ports, body), "design")


def test_a_complete_structure_passes() -> None:
    need_yosys()
    check_structure(REGISTERS, "design")


def test_a_missing_yosys_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    for call in (lambda: count_cells(REGISTERS, "design"), yosys_version):
        with pytest.raises(ToolError, match="yosys: not found on the PATH"):
            call()
