"""The engine's own C++, for accelerators of clearly different shape: all rules hold, at clocks of each board."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from support.hls.tools import need_compiler
from support.verilog.engines import ENGINES, SMALLEST

from bitstreams.hls_checks.checks import HlsView, NotChecked, check_sources
from bitstreams.hls_checks.engine import check_engine, engine_limits
from bitstreams.hls_checks.text import table
from bitstreams.hls_checks.views import Target
from cost_models.engine.blocks import array_slices
from hw_templates.board import load_board
from hw_templates.conv_engine.engine_shape import EngineShape
from hw_templates.project.render import render

CHECKED = {
    "smallest": ("pynq-z2", 150),
    "double buffers": ("pynq-z2", 150),
    "single buffers, 3 pixels": ("pynq-z2", 150),
    "1 pixel, 32-bit ports": ("pynq-z2", 150),
    "weight port of two words": ("ultra96-v2", 300),
    "maps on chip, more rows": ("zcu104", 300),
    "maps on chip, 3 banks, single weights and sums": ("kv260", 300),
    "128-bit ports": ("zcu104", 250),
}


def shape_of(name: str) -> EngineShape:
    board, clock_mhz = CHECKED[name]
    shape = SMALLEST if name == "smallest" else ENGINES[name]
    accelerator = replace(shape.accelerator, clock_mhz=clock_mhz)
    return replace(shape, accelerator=accelerator, family=load_board(board).family)


@cache
def view_of(name: str) -> HlsView:
    need_compiler()
    view = check_engine(shape_of(name), load_board(CHECKED[name][0]))
    assert not isinstance(view, NotChecked), view.reason
    return view


@pytest.mark.parametrize("name", CHECKED)
def test_all_rules_hold(name: str) -> None:
    view = view_of(name)
    assert [finding.message for finding in view.findings] == []
    assert view.passed
    assert {loop.function for loop in view.loops} >= {"compute", "store", "load_ifmap", "load_residual"}
    assert table(view).count(": holds") == 6


@pytest.mark.parametrize("name", CHECKED)
def test_products_and_banks_are_those_of_the_cost_model(name: str) -> None:
    shape, view = shape_of(name), view_of(name)
    a = shape.accelerator
    [compute] = [loop for loop in view.loops if loop.function == "compute"]
    assert len(compute.products) == array_slices(shape)
    banks = dict.fromkeys(("ifmap", "weights", "sums"), 0)
    for bank in compute.memories:
        banks[bank.memory] += 1
    lines = a.pe_cols // a.axi_bytes
    assert banks == {"ifmap": a.pe_pixels * lines, "weights": a.weight_banks, "sums": a.ofmap_banks}


def test_every_pipelined_loop_was_seen() -> None:
    unseen = [{(place.file.rpartition("/")[2], place.line) for place in view_of(name).unseen} for name in CHECKED]
    assert set.intersection(*unseen) == set()


BREAKS = {
    "recurrence": ("#pragma HLS DEPENDENCE variable = sums inter false", "// ", "read of sums"),
    "products": ("++iterations;", "iterations += command.kernel_rows * command.kernel_cols;", "mul "),
    "division": ("++iterations;", "iterations += iterations % command.kernel_cols;", "urem"),
}


@pytest.mark.parametrize("rule", BREAKS)
def test_what_would_break_a_rule_in_the_array_is_found(rule: str, tmp_path: Path) -> None:
    need_compiler()
    shape, board = shape_of("smallest"), load_board("pynq-z2")
    old, new, operator = BREAKS[rule]
    for path, text in render(shape.accelerator, board, shape.limits).items():
        if path.startswith("hls/"):
            (tmp_path / path.removeprefix("hls/")).write_text(text)
    source = tmp_path / "compute.cpp"
    assert source.read_text().count(old) == 1
    source.write_text(source.read_text().replace(old, new))
    view = check_sources([source], [tmp_path], Target(part=board.part, clock_mhz=150), engine_limits(shape))
    assert isinstance(view, HlsView)
    assert {finding.check for finding in view.findings} >= {rule}
    found = [finding.message for finding in view.findings if finding.check == rule]
    assert all(message.startswith("compute:iterations (compute.cpp:") for message in found)
    assert any(operator in message for message in found)
