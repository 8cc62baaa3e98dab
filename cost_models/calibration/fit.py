"""Coefficients from measurements: a hierarchical fit in the logarithm, with intervals checked on left-out runs.

Each campaign c has its own coefficients, exp(shared + difference_c). Before anything is measured ``shared`` is normal
around the parameter's median with its spread, and ``difference_c`` around zero with its spread over campaigns. So what
campaigns share is learned from all, what differs from a campaign's own few runs, and coefficients stay positive.
Residuals are differences of log cycles with the density of Student's t at 4 degrees of freedom, so that outliers count
little (Lange et al., "Robust statistical modeling using the t distribution", JASA 1989). The maximum of the posterior
is found by Gauss-Newton steps, and the curvature there gives the covariance of the coefficients.

The widths of intervals come from runs that are left out of a fit in turn (:mod:`cost_models.calibration.intervals`).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from cost_models.calibration.intervals import LeftOut
from cost_models.calibration.timing_model import (
    BoundModel,
    Parameter,
    TimingModel,
    check_attainable,
    measured_cycles,
    sensitivity,
)
from cost_models.measurements.engine_run import EngineRun
from cost_models.measurements.measurement import Measurement
from hw_templates.foundation.arrays import FloatArray
from hw_templates.foundation.errors import InvalidValueError

LEAST_RUNS = LEAST_GROUPS = 3
_FREEDOM = 4.0
_FOLDS = 10
_NOISE_ROUNDS = 3
_NOISE_RUNS = 2
_FIRST_NOISE, _LEAST_NOISE = 0.05, 0.01
_WIDEST = 300.0
"""No interval reaches further than by exp of this: a float holds no larger cycles."""


@dataclass(frozen=True, kw_only=True)
class Posterior:
    """What a fit knows of P parameters in C campaigns; all values are logarithms.

    Attributes:
        parameters: with their priors.
        campaigns: names.
        shared: [P] values that campaigns share.
        differences: [C, P] of each campaign.
        covariance: [(1 + C) P, (1 + C) P] of ``shared`` and ``differences`` together.
        noise: [C] standard deviation of each campaign's runs around the model.
        common_noise: that of all runs, which stands for an unknown campaign's.
    """

    parameters: tuple[Parameter, ...]
    campaigns: tuple[str, ...]
    shared: FloatArray
    differences: FloatArray
    covariance: FloatArray
    noise: FloatArray
    common_noise: float

    def theta(self, campaigns: Sequence[str]) -> FloatArray:
        """[len(campaigns), P] logarithms of the coefficients; of an unknown campaign what all share."""
        known = {name: index for index, name in enumerate(self.campaigns)}
        differences = np.vstack([self.differences, np.zeros(len(self.shared))])
        theta: FloatArray = self.shared + differences[[known.get(name, -1) for name in campaigns]]
        return theta

    def deviation(self, campaign: str) -> float:
        """Noise of one campaign."""
        known = campaign in self.campaigns
        return float(self.noise[self.campaigns.index(campaign)]) if known else self.common_noise

    def uncertainty(self, campaign: str) -> FloatArray:
        """[P, P] covariance of one campaign's coefficients; of an unknown one with its spread over campaigns."""
        size = len(self.shared)
        common = self.covariance[:size, :size]
        covariance: FloatArray = common + np.diag([parameter.campaign_spread**2 for parameter in self.parameters])
        if campaign not in self.campaigns:
            return covariance
        start = size * (1 + self.campaigns.index(campaign))
        own = slice(start, start + size)
        cross = self.covariance[:size, own]
        with_own: FloatArray = common + cross + cross.T + self.covariance[own, own]
        return with_own


@dataclass(frozen=True)
class Prediction:
    """[runs] cycles with the bounds of their intervals; ``deviation`` is that of the logarithm."""

    cycles: FloatArray
    low: FloatArray
    high: FloatArray
    deviation: FloatArray


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A model fitted to runs, and how it did on runs that were left out.

    Attributes:
        left_out: groups of runs left out in turn, or single runs where there are no groups.
        left_out_singly: parts of every group left out in turn; None where there are no groups.
        groups: those that the fit knows.
    """

    model: TimingModel
    posterior: Posterior
    left_out: LeftOut
    left_out_singly: LeftOut | None
    groups: frozenset[str]

    def predict(self, runs: Sequence[EngineRun]) -> Prediction:
        """Predict the cycles of runs."""
        new, known = self.left_out.widths, (self.left_out_singly or self.left_out).widths
        width = [(known if run.group in self.groups else new).of(run.campaign) for run in runs]
        return predict(self.model.bind(runs), [run.campaign for run in runs], self.posterior, np.array(width))


def predict(model: BoundModel, campaigns: Sequence[str], posterior: Posterior, width: float | FloatArray) -> Prediction:
    """Cycles of the model's runs with intervals of ``width`` deviations to each side."""
    theta = posterior.theta(campaigns)
    cycles = model.cycles(theta)
    slopes = sensitivity(model, theta)
    variance = np.empty(len(campaigns))
    for name in dict.fromkeys(campaigns):
        rows = np.array([campaign == name for campaign in campaigns])
        variance[rows] = np.einsum("rp,pq,rq->r", slopes[rows], posterior.uncertainty(name), slopes[rows])
        variance[rows] += posterior.deviation(name) ** 2
    # Rounded covariances may make a variance of zero slightly negative.
    deviation = np.sqrt(np.maximum(variance, 0.0))
    reach = np.exp(np.minimum(width * deviation, _WIDEST))
    return Prediction(cycles, cycles / reach, cycles * reach, deviation)


def fit(model: TimingModel, runs: Sequence[Measurement], tell: Callable[[float], None] | None = None) -> Fit:
    """Fit a model to runs of its engine, and to all but some of them in turn; ``tell`` hears what share is done.

    Raises:
        InvalidValueError: too few runs, or one that is of another engine, faster than that can be, or without what the
            model needs.
    """
    check_runs(model, runs)
    posterior = estimate(model, runs)
    groups, singles = group_parts(runs), single_parts(runs)

    def told(done: int) -> None:
        if tell is not None:
            tell((1 + done) / (1 + len(singles) + len(groups)))

    singly = leave_out(model, runs, singles, posterior, told)
    left_out = leave_out(model, runs, groups, posterior, lambda done: told(len(singles) + done)) if groups else singly
    known = frozenset(run.group for run in runs if run.group is not None)
    return Fit(
        model=model, posterior=posterior, left_out=left_out, left_out_singly=singly if groups else None, groups=known
    )


def check_runs(model: TimingModel, runs: Sequence[Measurement]) -> None:
    """Say whether runs can be fitted.

    Raises:
        InvalidValueError: they are too few, or one is of another engine or faster than its engine can be.
    """
    if len(runs) < LEAST_RUNS:
        raise InvalidValueError("measurements", len(runs), f"at least {LEAST_RUNS} runs of {model.engine} to fit")
    for run in runs:
        if run.engine != model.engine:
            raise InvalidValueError("measurement.engine", run.engine, f"{model.engine} like that of the other runs")
    check_attainable(model, runs, [f"measurements[{index}].latency_ms.p50" for index in range(len(runs))])


def group_parts(runs: Sequence[Measurement]) -> list[list[int]]:
    """Indices of the runs of each group, in at most ten parts; none where there are fewer than three groups."""
    groups: dict[str, list[int]] = {}
    for index, run in enumerate(runs):
        groups.setdefault(run.group if run.group is not None else f"run {index}", []).append(index)
    grouped = LEAST_GROUPS <= len(groups) < len(runs)
    return _parts(list(groups.values())) if grouped else []


def single_parts(runs: Sequence[Measurement]) -> list[list[int]]:
    """Indices of the runs dealt to at most ten parts."""
    return _parts([[index] for index in range(len(runs))])


def _parts(members: Sequence[Sequence[int]]) -> list[list[int]]:
    count = min(_FOLDS, len(members))
    return [[index for group in members[first::count] for index in group] for first in range(count)]


def leave_out(
    model: TimingModel,
    runs: Sequence[Measurement],
    parts: Sequence[Sequence[int]],
    start: Posterior | None = None,
    tell: Callable[[int], None] | None = None,
) -> LeftOut:
    """Predict each part of the runs by a fit of all others.

    Args:
        model: of the runs' engine.
        runs: all of them.
        parts: indices of the runs of each part.
        start: where the fits begin their search.
        tell: hears how many parts are done.
    """
    predicted, deviation = np.empty(len(runs)), np.empty(len(runs))
    for done, part in enumerate(parts, start=1):
        out = set(part)
        posterior = estimate(model, [run for index, run in enumerate(runs) if index not in out], start)
        rows = np.array(sorted(out))
        chosen = [runs[index] for index in rows]
        prediction = predict(model.bind(chosen), [run.campaign for run in chosen], posterior, 0.0)
        predicted[rows], deviation[rows] = prediction.cycles, prediction.deviation
        if tell is not None:
            tell(done)
    return LeftOut(tuple(run.campaign for run in runs), measured_cycles(runs), predicted, deviation)


def estimate(model: TimingModel, runs: Sequence[Measurement], start: Posterior | None = None) -> Posterior:
    """The most probable coefficients given the runs, with their covariance and the noise."""
    task = _Task.of(model, runs)
    point = task.start(start)
    noise = np.full(len(task.campaigns), start.common_noise if start else _FIRST_NOISE)
    for _ in range(_NOISE_ROUNDS):
        point = task.solve(point, noise)
        noise, common = task.noise(point, noise)
    shared, differences = task.unpack(point)
    covariance = task.covariance(point, noise)
    return Posterior(
        parameters=model.parameters,
        campaigns=task.campaigns,
        shared=shared,
        differences=differences,
        covariance=covariance,
        noise=noise,
        common_noise=common,
    )


@dataclass(frozen=True, kw_only=True)
class _Task:
    """One fit: unknowns are the shared values and the differences, both in units of their prior deviations."""

    model: BoundModel
    log_measured: FloatArray
    campaigns: tuple[str, ...]
    campaign: NDArray[np.intp]
    median: FloatArray
    spread: FloatArray
    campaign_spread: FloatArray

    @classmethod
    def of(cls, model: TimingModel, runs: Sequence[Measurement]) -> "_Task":
        campaigns = tuple(dict.fromkeys(run.campaign for run in runs))
        numbers = np.array([(p.median, p.spread, p.campaign_spread) for p in model.parameters])
        return cls(
            model=model.bind(runs),
            log_measured=np.log(measured_cycles(runs)),
            campaigns=campaigns,
            campaign=np.array([campaigns.index(run.campaign) for run in runs]),
            median=np.log(numbers[:, 0]),
            spread=numbers[:, 1],
            campaign_spread=numbers[:, 2],
        )

    def start(self, posterior: Posterior | None) -> FloatArray:
        """Where the search begins: at the prior, or at another fit's result."""
        if posterior is None:
            return np.zeros(len(self.median) * (1 + len(self.campaigns)))
        differences = posterior.theta(self.campaigns) - posterior.shared
        scaled = np.vstack([(posterior.shared - self.median) / self.spread, differences / self.campaign_spread])
        return scaled.ravel()

    def unpack(self, point: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Shared values and differences as logarithms."""
        rows = point.reshape(1 + len(self.campaigns), -1)
        return self.median + rows[0] * self.spread, rows[1:] * self.campaign_spread

    def _theta(self, point: FloatArray) -> FloatArray:
        shared, differences = self.unpack(point)
        theta: FloatArray = shared + differences[self.campaign]
        return theta

    def residuals(self, point: FloatArray) -> FloatArray:
        """[runs] log of predicted over measured cycles."""
        residuals: FloatArray = np.log(self.model.cycles(self._theta(point))) - self.log_measured
        return residuals

    def slopes(self, point: FloatArray) -> FloatArray:
        """[runs, unknowns] of :meth:`residuals`."""
        slopes = sensitivity(self.model, self._theta(point))
        size, count = len(self.median), len(self.campaigns)
        full = np.zeros((len(slopes), size * (1 + count)))
        full[:, :size] = slopes * self.spread
        for index in range(count):
            rows = self.campaign == index
            full[rows, size * (1 + index) : size * (2 + index)] = slopes[rows] * self.campaign_spread
        return full

    def solve(self, point: FloatArray, noise: FloatArray) -> FloatArray:
        """The most probable unknowns for given noises [campaigns]."""
        deviation = noise[self.campaign]

        def value(point: FloatArray) -> FloatArray:
            return np.concatenate([_robust(self.residuals(point) / deviation), point])

        def jacobian(point: FloatArray) -> FloatArray:
            weight = _robust_slope(self.residuals(point) / deviation) / deviation
            return np.vstack([weight[:, None] * self.slopes(point), np.eye(len(point))])

        solution: FloatArray = least_squares(value, point, jacobian, ftol=1e-6, xtol=1e-6, max_nfev=100).x
        return solution

    def _weight(self, point: FloatArray, noise: FloatArray) -> FloatArray:
        """[runs] what Student's t leaves of each run's weight."""
        weight: FloatArray = (_FREEDOM + 1) / (_FREEDOM + (self.residuals(point) / noise[self.campaign]) ** 2)
        return weight

    def _curvature(self, point: FloatArray, noise: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Weighted slopes [runs, unknowns], and the unknowns' covariance in units of their prior deviations."""
        slopes = self.slopes(point) * (np.sqrt(self._weight(point, noise)) / noise[self.campaign])[:, None]
        return slopes, np.linalg.inv(slopes.T @ slopes + np.eye(slopes.shape[1]))

    def covariance(self, point: FloatArray, noise: FloatArray) -> FloatArray:
        """Of shared values and differences, from the curvature at the solution."""
        deviations = np.concatenate([self.spread, np.tile(self.campaign_spread, len(self.campaigns))])
        covariance: FloatArray = self._curvature(point, noise)[1] * np.outer(deviations, deviations)
        return covariance

    def noise(self, point: FloatArray, noise: FloatArray) -> tuple[FloatArray, float]:
        """Scale of the residuals' t distribution (a step of EM), of each campaign and of all.

        It is corrected for the freedom that the fit used up, and a campaign's is drawn to that of all as if it had
        ``_NOISE_RUNS`` more runs with the latter.
        """
        slopes, covariance = self._curvature(point, noise)
        used = np.einsum("ru,uv,rv->r", slopes, covariance, slopes)
        square = self._weight(point, noise) * self.residuals(point) ** 2
        free = 1 - np.minimum(used, 1.0)
        common = float(square.sum() / max(free.sum(), 1.0))
        count = len(self.campaigns)
        sums, frees = (np.bincount(self.campaign, values, minlength=count) for values in (square, free))
        each = (sums + _NOISE_RUNS * common) / (frees + _NOISE_RUNS)
        return np.maximum(np.sqrt(each), _LEAST_NOISE), max(math.sqrt(common), _LEAST_NOISE)


def _robust(scaled: FloatArray) -> FloatArray:
    """Residuals whose squares are twice the negative log of Student's t density."""
    robust: FloatArray = np.sign(scaled) * np.sqrt((_FREEDOM + 1) * np.log1p(scaled**2 / _FREEDOM))
    return robust


def _robust_slope(scaled: FloatArray) -> FloatArray:
    """Derivative of :func:`_robust`."""
    at_zero = math.sqrt((_FREEDOM + 1) / _FREEDOM)
    robust = np.abs(_robust(scaled))
    safe = np.where(robust > 1e-8, robust, 1.0)
    slope: FloatArray = np.where(
        robust > 1e-8, (_FREEDOM + 1) * np.abs(scaled) / ((_FREEDOM + scaled**2) * safe), at_zero
    )
    return slope
