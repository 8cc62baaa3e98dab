from dataclasses import replace

import numpy as np
import pytest

from cost_models.board_power import BoardPower
from cost_models.measurements.measurement import Measurement, Percentiles
from hw_templates.foundation.errors import InvalidValueError

RUN = Measurement(
    engine="hls4ml",
    board="pynq-z2",
    campaign="c",
    source="s",
    clock_mhz=100.0,
    latency_ms=Percentiles(1.0),
    network="n",
    power_w=1.6,
)


def test_energy_is_power_times_latency() -> None:
    power = BoardPower.of([RUN, replace(RUN, power_w=1.8), replace(RUN, power_w=None)])
    energy, low, high = power.energy_mj(10.0)
    assert energy == pytest.approx(17.0)
    assert energy - low == pytest.approx(high - energy)


def test_the_interval_covers_nine_in_ten_new_designs() -> None:
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(2000):
        watts = rng.normal(1.7, 0.1, 5)
        power = BoardPower.of([replace(RUN, power_w=float(value)) for value in watts[:4]])
        _, low, high = power.energy_mj(1.0)
        inside += low <= watts[4] <= high
    assert inside / 2000 == pytest.approx(0.9, abs=0.03)


def test_runs_that_say_too_little() -> None:
    with pytest.raises(InvalidValueError, match=r"measurement\.power_w: must be given in at least two runs, got 1"):
        BoardPower.of([RUN, replace(RUN, power_w=None)])
    with pytest.raises(InvalidValueError, match=r"measurement\.board: must be the same in all runs"):
        BoardPower.of([RUN, replace(RUN, board="zcu104")])
