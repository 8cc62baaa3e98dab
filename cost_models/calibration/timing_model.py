"""The interface between a fit and a model of time: its parameters, and the cycles that they give for runs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from cost_models.measurements.measurement import EngineRun, Measurement
from hw_templates.foundation.arrays import FloatArray
from hw_templates.foundation.errors import InvalidValueError


@dataclass(frozen=True)
class Parameter:
    """One positive coefficient, with its prior.

    Attributes:
        name: with its unit.
        meaning: one phrase.
        median: of the prior, which is log-normal.
        spread: standard deviation of the logarithm over engines of the kind.
        campaign_spread: standard deviation of the logarithm over campaigns of one engine: small where the hardware
            sets the coefficient, large where driver and bitstream do.
    """

    name: str
    meaning: str
    median: float
    spread: float
    campaign_spread: float


class BoundModel(Protocol):
    """A model of time with the counts of some runs.

    ``theta`` holds the logarithms of the parameters of each run: [runs, parameters].
    """

    def cycles(self, theta: FloatArray) -> FloatArray:
        """Return [runs] cycles of each run."""
        ...

    def parts(self, theta: FloatArray) -> dict[str, FloatArray]:
        """Return [runs] visible cycles by their cause; they add up to :meth:`cycles`."""
        ...


@dataclass(frozen=True)
class TimingModel:
    """A model of the time that an engine takes.

    Attributes:
        engine: its name, as in :attr:`EngineRun.engine`.
        parameters: in the order of the last axis of ``theta``.
        bind: returns the model of some runs. It raises an InvalidValueError where a run lacks what the model needs.
        least_cycles: returns [runs] cycles that no such engine undercuts, whatever its coefficients: the roofline of
            its array, and of its memory ports where their width is known. It raises as ``bind`` does.
    """

    engine: str
    parameters: tuple[Parameter, ...]
    bind: Callable[[Sequence[EngineRun]], BoundModel]
    least_cycles: Callable[[Sequence[EngineRun]], FloatArray]


def measured_cycles(runs: Sequence[Measurement]) -> FloatArray:
    """Return [runs] median latency in cycles of the programmable logic."""
    return np.array([run.latency_ms.p50 * run.clock_mhz * 1e3 for run in runs])


def check_attainable(model: TimingModel, runs: Mapping[str, Measurement]) -> None:
    """Refuse a run that is faster than its engine can be: its time, its clock or its shape is wrong.

    Args:
        model: of the runs' engine.
        runs: measured, by what messages call the latency of each.

    Raises:
        InvalidValueError: a run is too fast; names the first, and how many there are.
    """
    measured = list(runs.values())
    least = model.least_cycles(measured)
    too_fast = np.flatnonzero(measured_cycles(measured) < least)
    if len(too_fast):
        first, more = int(too_fast[0]), len(too_fast) - 1
        run = measured[first]
        raise InvalidValueError(
            list(runs)[first],
            run.latency_ms.p50,
            f"at least {least[first] / run.clock_mhz / 1e3:.4g} ms, the roofline of {model.engine} at "
            f"{run.clock_mhz:g} MHz{f' (which {more} more runs break)' if more else ''}",
        )


def sensitivity(model: BoundModel, theta: FloatArray) -> FloatArray:
    """Return [runs, parameters] d log(cycles) / d log(parameter) at ``theta``, by forward differences."""
    step = 1e-5
    here = np.log(model.cycles(theta))
    shifts = step * np.eye(theta.shape[-1])
    return np.stack([(np.log(model.cycles(theta + shift)) - here) / step for shift in shifts], axis=-1)
