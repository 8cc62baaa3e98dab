"""Checks of a small process: it passes all of them, and each change that breaks a rule is found, with loop and line."""

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from support.hls.gathered import SOURCE
from support.hls.tools import HEADERS, need_compiler

from bitstreams.hls_checks import compiler
from bitstreams.hls_checks.checks import CHECKS, Finding, HlsView, Limits, LoopLimits, NotChecked, check_sources
from bitstreams.hls_checks.text import table
from bitstreams.hls_checks.views import Target
from hw_templates.foundation.errors import InvalidValueError

BOARD = Target(part="xc7z020clg400-1", clock_mhz=150)
LIMITS = Limits(LoopLimits(products=2, counter_bits=12, wide={"iterations": 32}))


def checked(folder: Path, source: str, target: Target = BOARD, limits: Limits = LIMITS) -> HlsView:
    need_compiler()
    path = folder / "gather.cpp"
    path.write_text(source)
    view = check_sources([path], [HEADERS], target, limits)
    assert isinstance(view, HlsView), view
    return view


def changed(old: str, new: str, source: str = SOURCE) -> str:
    assert source.count(old) == 1, old
    return source.replace(old, new)


def line_of(source: str, text: str) -> int:
    return 1 + source[: source.index(text)].count("\n")


def test_the_sound_process_passes(tmp_path: Path) -> None:
    view = checked(tmp_path, SOURCE)
    assert view.findings == ()
    assert view.passed
    [loop] = view.loops
    assert (loop.name, str(loop.place)) == ("gather:iterations", f"gather.cpp:{line_of(SOURCE, 'while (more)')}")
    assert [each.operator for each in loop.products] == ["mul 8x8", "mul 8x8"]
    banks = {f"{bank.memory}{bank.bank}": (len(bank.reads), len(bank.writes)) for bank in loop.memories}
    assert banks == {
        "ifmap[0]": (1, 0),
        "ifmap[1]": (1, 0),
        "weights[0]": (1, 0),
        "weights[1]": (1, 0),
        "sums": (1, 1),
        "walk.latest": (1, 1),
    }
    bits = {each.variable: each.bits for each in loop.carried if each.bits > 1}
    assert bits["walk.row"] == bits["walk.col"] == 12
    assert bits["walk.at"] == bits["walk.row_at"] == 10
    assert bits["iterations"] == 32


def test_the_longest_recurrence_is_one_addition_and_two_selections(tmp_path: Path) -> None:
    [loop] = checked(tmp_path, SOURCE).loops
    longest = loop.recurrences[0]
    assert longest.variables == ("walk.row_at",)
    assert [each.operator for each in longest.chain] == ["select 10", "add 10", "select 10"]
    # By the reports' own figures for this device: 0.68 ns a selection of 10 bits; additions are 1.50 + 0.031 ns a bit.
    assert longest.delay_ns == pytest.approx(0.68 + 1.50 + 0.313 + 0.68, abs=0.01)
    at = [line_of(SOURCE, text) for text in ("from = last_col", "wrapped<10>(from + by)", "row_at = last_col")]
    assert [each.place.line for each in longest.chain] == at


NARROW = "U<12> cols, col, row;"
READ = "ifmap[bank][static_cast<uint32_t>(walk.at)]"
BREAKS = {
    "division": ("++iterations;", "iterations += walk.at / 3;", "udiv"),
    "remainder": ("++iterations;", "iterations += walk.at % 3;", "urem"),
    "products": ("++iterations;", "iterations += walk.at * command.cols;", "mul 12x10"),
    "recurrence": ("wrapped<10>(from + by)", "wrapped<10>(from + by + command.row_step)", "add 10"),
    "ports": (READ, f"{READ} + ifmap[0][7 & bank + static_cast<uint32_t>(walk.at)]", "load"),
    "widths": (NARROW, NARROW.replace("12", "32"), "add 32"),
}


@pytest.mark.parametrize("rule", BREAKS)
def test_a_broken_rule_is_found_with_loop_line_and_operator(rule: str, tmp_path: Path) -> None:
    old, new, operator = BREAKS[rule]
    source = changed(old, new)
    if rule == "widths":
        source = source.replace("wrapped<12>", "wrapped<32>")
    view = checked(tmp_path, source)
    assert not view.passed
    check = "division" if rule == "remainder" else rule
    found = [each for each in view.findings if each.check == check]
    assert {each.check for each in view.findings} == {check}
    line = line_of(source, "wrapped<32>(row - 1)" if rule == "widths" else new)
    fitting = [each for each in found if f"gather.cpp:{line}" in each.message and operator in each.message]
    assert fitting, [each.message for each in found]
    assert fitting[0].place is not None
    assert fitting[0].place.line == line
    begin = line_of(source, "while (more)")
    assert all(each.message.startswith(f"gather:iterations (gather.cpp:{begin}): ") for each in found)
    assert all(re.fullmatch("[^\n]+", each.message) for each in found)
    assert fitting[0].message in table(view)


def messages(view: HlsView, check: str) -> list[str]:
    return [each.message for each in view.findings if each.check == check]


def test_a_memory_that_is_read_and_written_needs_a_pragma_that_iterations_are_apart(tmp_path: Path) -> None:
    view = checked(tmp_path, changed("#pragma HLS DEPENDENCE variable = sums inter false\n", ""))
    [message] = messages(view, "recurrence")
    assert "read of sums" in message
    assert "add 32" in message


def test_what_a_static_variable_carries_recurs(tmp_path: Path) -> None:
    source = changed("++iterations;", "++iterations;\n        tiles = wrapped<8>(tiles + 1 + tiles * 2 + 5);")
    [message] = messages(checked(tmp_path, source), "recurrence")
    assert "recurrence of tiles" in message


def test_what_decides_on_the_next_iteration_recurs(tmp_path: Path) -> None:
    # Computed and tested in the same iteration, in place of one ahead.
    source = changed(
        "more = !walk.ends;\n        walk.next(command);", "walk.next(command);\n        more = !walk.ends;"
    )
    source = changed("more = !walk.ends;", "more = walk.at + command.cols + walk.oldest() != 77 && !walk.ends;", source)
    found = messages(checked(tmp_path, source), "recurrence")
    assert any("walk" in message and "read of walk.latest" in message for message in found)


def test_an_array_without_registers_has_one_port(tmp_path: Path) -> None:
    source = changed("#pragma HLS ARRAY_PARTITION variable = words complete\n", "")
    source = changed("static_cast<int8_t>(words[bank])", "static_cast<int8_t>(words[bank ^ command.adds])", source)
    view = checked(tmp_path, source)
    assert any("2 writes of words in an iteration" in message for message in messages(view, "ports"))
    partitioned = changed("static_cast<int8_t>(words[bank])", "static_cast<int8_t>(words[bank ^ command.adds])")
    assert checked(tmp_path, partitioned).passed


def test_a_loop_that_stays_inside_is_found(tmp_path: Path) -> None:
    source = changed(
        "++iterations;", "for (U<4> i = 0; i != wrapped<4>(command.rows); i = wrapped<4>(i + 1)) iterations += sums[i];"
    )
    assert any(
        "holds a loop that is not unrolled" in message for message in messages(checked(tmp_path, source), "flat")
    )


def test_a_pragma_outside_of_a_loop_is_named(tmp_path: Path) -> None:
    source = changed("#pragma HLS PIPELINE II = 1\n", "").replace("iterations:\n", "#pragma HLS PIPELINE II = 1\n")
    view = checked(tmp_path, source)
    assert view.loops == ()
    assert not view.passed
    assert [place.line for place in view.unseen] == [line_of(source, "#pragma HLS PIPELINE")]


def test_a_faster_clock_and_a_faster_device_change_the_limit(tmp_path: Path) -> None:
    assert not checked(tmp_path, SOURCE, replace(BOARD, clock_mhz=300)).passed
    assert checked(tmp_path, SOURCE, Target(part="xczu7ev-ffvc1156-2-e", clock_mhz=300)).passed
    with pytest.raises(InvalidValueError, match="part: must be of the series of one of xc7"):
        checked(tmp_path, SOURCE, Target(part="xcvc1902-vsva2197-2MP-e", clock_mhz=300))


def test_limits_are_found_by_loop_by_function_and_by_default(tmp_path: Path) -> None:
    none = LoopLimits(counter_bits=12, wide={"iterations": 32})
    for name in ("gather", "gather:iterations"):
        assert checked(tmp_path, SOURCE, limits=Limits(none, {name: replace(none, products=2)})).passed
    assert not checked(tmp_path, SOURCE, limits=Limits(none, {"scatter": replace(none, products=2)})).passed


def test_the_table_states_rules_and_figures(tmp_path: Path) -> None:
    text = table(checked(tmp_path, SOURCE))
    assert "For xc7z020clg400-1 at 150 MHz; a recurrence may take 4.87 ns." in text
    assert "no HLS tool has run" in text
    assert "| gather:iterations (gather.cpp:" in text
    assert text.count(": holds") == len(CHECKS)


def tool(folder: Path, name: str, version: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho 'Debian {name} version {version}'\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("there", "reason"),
    [
        ({}, "not checked: clang 14 is needed, no clang on the PATH"),
        ({"clang": "16.0.6"}, "not checked: clang 14 is needed, {folder}/clang is version 16.0"),
        ({"clang-14": "14.0.6"}, "not checked: opt 14 is needed, no opt on the PATH"),
        ({"clang-14": "14.0.6", "opt": "15.0.1"}, "not checked: opt 14 is needed, {folder}/opt is version 15.0"),
    ],
)
def test_without_its_tools_nothing_is_passed(
    there: dict[str, str], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, version in there.items():
        tool(tmp_path, name, version)
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    monkeypatch.setattr(compiler, "_FOLDER", tmp_path / "none")
    view = check_sources([tmp_path / "gather.cpp"], [HEADERS], BOARD, LIMITS)
    assert isinstance(view, NotChecked)
    assert view.reason.startswith(reason.format(folder=tmp_path))
    assert not view.passed
    assert table(view) == f"{view.reason}\n"


def test_code_that_does_not_compile_is_not_checked(tmp_path: Path) -> None:
    need_compiler()
    (tmp_path / "gather.cpp").write_text(changed("bool more =", "boolean more ="))
    view = check_sources([tmp_path / "gather.cpp"], [HEADERS], BOARD, LIMITS)
    assert isinstance(view, NotChecked)
    assert "unknown type name 'boolean'" in view.reason
    assert "\n" not in view.reason


def test_findings_are_values() -> None:
    first, second = (Finding(check="flat", loop="gather", place=None, message="holds a loop") for _ in range(2))
    assert first == second
    assert str(first) == "holds a loop"
