"""Cells of the modules of the engine's Verilog, beside the table of what they took when they were last changed."""

import runpy
from functools import cache
from pathlib import Path

import pytest
from support.verilog.synthesised import need_yosys_version

from bitstreams.building.synthesis import CellCounts, count_cells

SCRIPT = runpy.run_path(str(Path(__file__).parents[4] / "benchmarks/engine_modules.py"))
rows, parameters_of, project = SCRIPT["rows"], SCRIPT["parameters_of"], cache(SCRIPT["project"])
VERSION = "Yosys 0.23"
LARGE, MOST_LUT = ("pe_array", "operands"), 600
"""Larger ones of these modules are counted on demand; the smaller ones show the same."""


def name(row: dict[str, str]) -> str:
    return f"{row['module']} {row['parameters']}"


def counted_rows(large: bool) -> list[dict[str, str]]:
    """The rows of PE arrays and operands whose counting takes long, or the others."""
    return [row for row in rows() if (row["module"] in LARGE and int(row["lut"]) > MOST_LUT) == large]


@pytest.mark.parametrize(
    "row",
    [*counted_rows(large=False), *(pytest.param(row, marks=pytest.mark.long) for row in counted_rows(large=True))],
    ids=name,
)
def test_a_module_takes_what_the_table_says(row: dict[str, str]) -> None:
    need_yosys_version(VERSION)
    counted = count_cells(project(), row["module"], parameters_of(row))
    expected = CellCounts(**{field: int(row[field]) for field in CellCounts.__dataclass_fields__})
    assert counted.lut == pytest.approx(expected.lut, rel=0.05, abs=2), counted
    assert counted.ff == pytest.approx(expected.ff, rel=0.05, abs=2), counted
    for field in ("dsp", "ramb18", "ramb36", "memory_lut", "shift_lut"):
        assert getattr(counted, field) == getattr(expected, field), counted


def test_a_module_keeps_to_its_bar_or_says_why_not() -> None:
    barred = [row for row in rows() if row["lut_bar"]]
    assert len(barred) >= 15
    for row in barred:
        assert (int(row["lut"]) > int(row["lut_bar"])) == bool(row["over_bar_because"]), row
