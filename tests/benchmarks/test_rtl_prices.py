import runpy
from pathlib import Path

import numpy as np

from cost_models.coefficients import load_coefficients
from hw_templates.conv_engine.implementation import Implementation

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks/rtl_prices.py"))


def test_a_search_for_the_verilog_prices_what_its_programs_are_stated_to_take() -> None:
    prior = load_coefficients("prior", Implementation.RTL)
    pairs = SCRIPT["draw_pairs"](2, 3, 4, prior)
    deviations = SCRIPT["Prices"](pairs, prior).deviations()
    assert len(deviations) == len(pairs) > 6
    assert np.abs(deviations).mean() < 0.03
