"""A timing model fitted to measured runs, judged on runs that were left out of the fit.

An interval is exp(prediction -+ width * deviation). The deviation adds what the coefficients leave open to the noise;
the width is a quantile of |residual| / deviation over runs that were left out of a fit in turn, in which runs of other
campaigns weigh half: split conformal prediction over folds (Lei et al., "Distribution-free predictive inference for
regression", JASA 2018) with the weights of Barber et al. ("Conformal prediction beyond exchangeability", Annals of
Statistics 2023).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, count

import numpy as np
from numpy.typing import NDArray

from cost_models.calibration.estimation import estimate
from cost_models.calibration.posterior import Posterior, predict
from cost_models.calibration.timing_model import TimingModel, check_attainable, measured_cycles
from cost_models.measurements.measurement import Measurement
from hw_templates.foundation.arrays import FloatArray
from hw_templates.foundation.errors import InvalidValueError
from hw_templates.foundation.json_records import ZeroOrMore

COVERAGE = 0.9
LEAST_RUNS = LEAST_GROUPS = 3
_FOLDS = 10
_OTHER_CAMPAIGN = 0.5


@dataclass(frozen=True)
class Widths:
    """Deviations that an interval extends to each side: for the runs of each campaign, and of an unknown one."""

    campaigns: dict[str, ZeroOrMore]
    unknown: ZeroOrMore

    def of(self, campaign: str) -> float:
        """Return the width for a run of a campaign."""
        return self.campaigns.get(campaign, self.unknown)


@dataclass(frozen=True)
class LeftOut:
    """Runs predicted by fits that they were left out of, [runs] each; ``deviation`` is that of the logarithm."""

    campaigns: tuple[str, ...]
    measured: FloatArray
    predicted: FloatArray
    deviation: FloatArray

    @property
    def error(self) -> FloatArray:
        """Signed, as a share of what was measured."""
        return self.predicted / self.measured - 1

    @property
    def score(self) -> FloatArray:
        """Error of the logarithm in predicted deviations, without its sign."""
        score: FloatArray = np.abs(np.log(self.predicted / self.measured)) / self.deviation
        return score

    def factor(self, campaign: str) -> float:
        """Return the factor within which ``COVERAGE`` of runs like a campaign's are of their prediction."""
        return math.exp(interval_width(self.score * self.deviation, np.array(self.campaigns), campaign))

    @property
    def widths(self) -> Widths:
        """Widths of intervals that cover the share ``COVERAGE`` of runs like these."""
        score, names = self.score, np.array(self.campaigns)
        own = {name: interval_width(score, names, name) for name in dict.fromkeys(self.campaigns)}
        return Widths(own, interval_width(score, names, None))


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A model fitted to runs, and its predictions of runs that were left out.

    Attributes:
        model: of the runs' engine.
        posterior: of the fit to all runs.
        left_out: groups of runs left out in turn, or single runs where there are no groups.
        left_out_singly: parts of every group left out in turn; as ``left_out`` where there are no groups.
    """

    model: TimingModel
    posterior: Posterior
    left_out: LeftOut
    left_out_singly: LeftOut


def fit(model: TimingModel, runs: Sequence[Measurement], tell: Callable[[float], None] = lambda _: None) -> Fit:
    """Fit a model to runs of its engine, and to all but some of them in turn; ``tell`` hears the share that is done.

    Raises:
        InvalidValueError: the runs are too few, or one is of another engine, faster than its engine can be, or lacks
            what the model needs.
    """
    if len(runs) < LEAST_RUNS:
        raise InvalidValueError("measurements", len(runs), f"at least {LEAST_RUNS} runs of {model.engine} to fit")
    for run in runs:
        if run.engine != model.engine:
            raise InvalidValueError("measurement.engine", run.engine, f"{model.engine} like that of the other runs")
    check_attainable(model, {f"measurements[{index}].latency_ms.p50": run for index, run in enumerate(runs)})
    posterior = estimate(model, runs)
    groups, singles = group_parts(runs), dealt([[index] for index in range(len(runs))])
    steps, done = 1 + len(singles) + len(groups), count(2)

    def step() -> None:
        tell(next(done) / steps)

    singly = leave_out(model, runs, singles, posterior, step)
    return Fit(
        model=model,
        posterior=posterior,
        left_out=leave_out(model, runs, groups, posterior, step) if groups else singly,
        left_out_singly=singly,
    )


def group_parts(runs: Sequence[Measurement]) -> list[list[int]]:
    """Return the indices of the runs of each group, in at most ten parts; none for fewer than three groups."""
    groups: dict[str, list[int]] = {}
    for index, run in enumerate(runs):
        groups.setdefault(run.group if run.group is not None else f"run {index}", []).append(index)
    return dealt(list(groups.values())) if LEAST_GROUPS <= len(groups) < len(runs) else []


def dealt(members: Sequence[Sequence[int]]) -> list[list[int]]:
    """Return the indices of members that are dealt to at most ten parts, ascending in each."""
    return [sorted(chain(*members[first::_FOLDS])) for first in range(min(_FOLDS, len(members)))]


def leave_out(
    model: TimingModel,
    runs: Sequence[Measurement],
    parts: Sequence[list[int]],
    start: Posterior,
    tell: Callable[[], None] = lambda: None,
) -> LeftOut:
    """Predict each part of the runs by a fit of all others.

    Args:
        model: of the runs' engine.
        runs: all of them.
        parts: indices of the runs of each part.
        start: where the fits begin their search.
        tell: hears of each part that is done.
    """
    predicted, deviation = np.empty((2, len(runs)))
    for part in parts:
        posterior = estimate(model, [run for index, run in enumerate(runs) if index not in part], start)
        prediction = predict(model, [runs[index] for index in part], posterior, 0.0)
        predicted[part], deviation[part] = prediction.cycles, prediction.deviation
        tell()
    return LeftOut(tuple(run.campaign for run in runs), measured_cycles(runs), predicted, deviation)


def interval_width(
    score: FloatArray, campaigns: NDArray[np.str_], campaign: str | None, coverage: float = COVERAGE
) -> float:
    """Return the least score within which runs of one campaign lie with the probability ``coverage``.

    Args:
        score: [runs] of the left-out runs.
        campaigns: [runs] of each; those of others than the one weigh half.
        campaign: the one; None for one that is not known.
        coverage: share of the weight, of which the new run has 1.
    """
    weight = np.where(campaigns == campaign, 1.0, _OTHER_CAMPAIGN)
    order = np.argsort(score)
    share = np.cumsum(weight[order]) / (weight.sum() + 1)
    # Sums that should be equal may differ in the last digit.
    place = int(np.searchsorted(share, coverage - 1e-9))
    return float(score[order][min(place, len(order) - 1)])
