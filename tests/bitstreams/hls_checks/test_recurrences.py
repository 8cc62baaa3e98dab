"""What recurs in small loops: each loop's figures follow from the operators that one can count in it by hand."""

from pathlib import Path

import pytest
from support.hls.tools import HEADERS, need_compiler

from bitstreams.hls_checks.compiler import compile_sources, find_compiler
from bitstreams.hls_checks.views import LoopView, Target, view_loops
from cost_models.hls_operators import delays_of

BOARD = Target(part="xc7z020clg400-1", clock_mhz=150)
DELAYS = delays_of(BOARD.part)


def viewed(folder: Path, before: str, body: str, behind: str = "") -> LoopView:
    need_compiler()
    source = folder / "loop.cpp"
    source.write_text(
        f"""
#include "widths.h"
void run(U<12> count, U<12> a, U<12> b, bool one, bool two, bool three, int32_t (&out)[64], U<12> (&table)[64]) {{
    bool more = count != 0;
    U<12> left = count;
    bool last = left == 1;
    {before}
    while (more) {{
#pragma HLS PIPELINE II = 1
        {body}
        more = !last;
        left = wrapped<12>(left - 1);
        last = left == 1;
    }}
    {behind}
}}
"""
    )
    [view] = view_loops(compile_sources(find_compiler(), [source], [HEADERS], folder), BOARD)
    return view


def chain_of(view: LoopView, variable: str) -> list[str]:
    [found] = [each for each in view.recurrences if variable in each.variables]
    return [each.operator for each in found.chain]


def test_nested_conditions_that_keep_a_value_are_one_selection(tmp_path: Path) -> None:
    nest = (
        "if (one) { if (two) { if (three) { x = wrapped<12>(x + a); out[1] = left; } out[2] = left; } out[3] = left; }"
    )
    view = viewed(tmp_path, "U<12> x = 0;", nest, "out[0] = x;")
    assert chain_of(view, "x") == ["add 12", "select 12"]
    # Where the outer condition brings another value, there is another selection.
    other = viewed(
        tmp_path, "U<12> x = 0;", nest.replace("out[3] = left; }", "out[3] = left; } else x = b;"), "out[0] = x;"
    )
    assert chain_of(other, "x") == ["add 12", "select 12", "select 12"]
    [one], [three] = ([each for each in found.recurrences if "x" in each.variables] for found in (view, other))
    assert three.delay_ns - one.delay_ns == pytest.approx(DELAYS.delay_ns("select", 12), abs=1e-3)


def test_a_cycle_of_two_values_counts_by_iteration(tmp_path: Path) -> None:
    body = "const U<12> old = x; x = wrapped<12>(y + a); y = wrapped<12>(wrapped<12>(wrapped<12>(old + b) + a) ^ 5);"
    view = viewed(tmp_path, "U<12> x = 0, y = 0;", body, "out[0] = x;")
    [found] = [each for each in view.recurrences if "x" in each.variables]
    assert found.iterations == 2
    assert [each.operator for each in found.chain].count("add 12") == 3
    assert found.delay_ns == pytest.approx(3 * DELAYS.delay_ns("add", 12) / 2, abs=1e-3)


def test_a_delay_line_recurs_in_nothing(tmp_path: Path) -> None:
    view = viewed(
        tmp_path, "U<12> x = 0, y = 0;", "out[left & 63] = y; y = wrapped<12>(x + a); x = wrapped<12>(left + b);"
    )
    assert {name for each in view.recurrences for name in each.variables} <= {"left", "last", "more"}


def test_a_read_of_a_memory_takes_two_states(tmp_path: Path) -> None:
    view = viewed(tmp_path, "U<12> x = 0;", "x = table[x & 63];", "out[0] = x;")
    [found] = [each for each in view.recurrences if "x" in each.variables]
    assert [each.operator for each in found.chain] == ["read of table"]
    assert found.delay_ns >= BOARD.usable_ns


def test_a_minimum_is_a_comparison_and_a_selection(tmp_path: Path) -> None:
    view = viewed(tmp_path, "U<12> x = 0;", "x = table[left & 63] < x ? table[left & 63] : x;", "out[0] = x;")
    assert chain_of(view, "x") == ["icmp 12", "select 12"]


def test_values_that_only_move_do_not_count(tmp_path: Path) -> None:
    view = viewed(tmp_path, "uint64_t wide = 0;", "out[left & 63] = wide; wide = table[left & 63];")
    [wide] = [each for each in view.carried if each.bits == 64 or each.variable == "wide"]
    assert not wide.counts
    assert next(each for each in view.carried if each.variable == "left").counts
