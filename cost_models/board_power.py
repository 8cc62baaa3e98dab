"""Energy of a run as supply power of the whole board times latency, with one interval.

Designs that were measured on one board draw nearly the same power whatever they compute, as most of it is the
processor, the memory and leakage. A mean over such designs therefore predicts energy, but what the fabric adds cannot
be told from it: dynamic power is not identifiable from whole-board rows without the idle power measured beside them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student_t

from cost_models.measurements.measurement import Measurement
from hw_templates.foundation.errors import InvalidValueError

COVERAGE = 0.9


@dataclass(frozen=True)
class BoardPower:
    """Supply power of one board over designs: mean and deviation in watts, and how many designs."""

    board: str
    mean_w: float
    deviation_w: float
    designs: int

    @classmethod
    def of(cls, runs: Sequence[Measurement]) -> "BoardPower":
        """From runs of one board; those without a measured power are passed over.

        Raises:
            InvalidValueError: runs of several boards, or fewer than two with power.
        """
        boards = sorted({run.board for run in runs})
        if len(boards) != 1:
            raise InvalidValueError("measurement.board", boards, "the same in all runs")
        watts = np.array([run.power_w for run in runs if run.power_w is not None])
        if len(watts) < 2:
            raise InvalidValueError("measurement.power_w", len(watts), "given in at least two runs")
        return cls(boards[0], float(watts.mean()), float(watts.std(ddof=1)), len(watts))

    def energy_mj(self, latency_ms: float) -> tuple[float, float, float]:
        """Millijoules of a run, and the bounds between which one in ten new designs does not fall."""
        quantile = float(student_t.ppf((1 + COVERAGE) / 2, self.designs - 1))
        reach = quantile * self.deviation_w * math.sqrt(1 + 1 / self.designs)
        return self.mean_w * latency_ms, (self.mean_w - reach) * latency_ms, (self.mean_w + reach) * latency_ms
