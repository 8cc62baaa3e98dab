"""The committed table of HLS operators is what the reports give today."""

import runpy
from pathlib import Path

import pytest
from support.shared_data import shared_data

from cost_models.hls_operators import TABLE

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks/hls_operators.py"))


def test_the_table_follows_from_the_reports() -> None:
    assert SCRIPT["table"](shared_data("vendor_reports")) == TABLE.read_text()


def test_a_line_is_fitted_where_there_are_enough_pairs_and_a_median_is_taken_elsewhere() -> None:
    fit = SCRIPT["fit"]
    line = fit([(bits, 1.5 + 0.03 * bits) for bits in range(2, 12)] * 7)
    assert (line.base, line.per_bit, line.samples, line.rows) == (1.5, 0.03, 10, 70)
    assert line.residual == pytest.approx(0, abs=1e-3)
    few = fit([(1, 0.9), (2, 1.0), (3, 1.3)])
    assert (few.base, few.per_bit, few.least_bits, few.most_bits) == (1.0, 0.0, 1, 3)
    falling = fit([(bits, 5.0 - 0.1 * bits) for bits in range(1, 20)])
    assert falling.per_bit == 0


def test_medians_by_width_give_the_nearest_width() -> None:
    medians = SCRIPT["medians"]([(2, 1.0), (2, 3.0), (2, 3.0), (8, 1.2), (12, 0.7)])
    assert medians.points == ((2, 2.0), (8, 1.2), (12, 0.7))
    assert [medians.at(bits) for bits in (1, 7, 10, 64)] == [2.0, 1.2, 1.2, 0.7]
