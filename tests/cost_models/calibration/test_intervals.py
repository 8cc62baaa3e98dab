import numpy as np
import pytest

from cost_models.calibration.fit import LeftOut


def left_out(campaigns: tuple[str, ...], scores: np.ndarray) -> LeftOut:
    return LeftOut(campaigns, np.ones(len(scores)), np.exp(0.1 * scores), np.full(len(scores), 0.1))


def test_the_width_is_the_quantile_that_makes_coverage_exact() -> None:
    for count, width in ((9, 9.0), (99, 90.0), (5, 5.0)):
        assert left_out(("a",) * count, np.arange(1.0, count + 1)).widths.of("a") == pytest.approx(width)


def test_a_factor_holds_nine_in_ten_runs() -> None:
    scores = np.arange(1.0, 100.0)
    assert left_out(("a",) * 99, scores).factor("a") == pytest.approx(np.exp(9.0))


def test_runs_of_other_campaigns_weigh_half_in_the_width() -> None:
    rough = np.linspace(2, 4, 40)
    widths = left_out(("a",) * 40 + ("b",) * 40, np.concatenate([rough / 2, rough])).widths
    assert widths.of("a") < widths.of("b") <= 4
    assert widths.of("a") < widths.of("never seen") <= 4
