"""The most probable coefficients given measured runs: a hierarchical fit in the logarithm.

Each campaign c has its own coefficients, exp(shared + difference_c). Before anything is measured ``shared`` is normal
around the parameter's median with its spread, and ``difference_c`` around zero with its spread over campaigns. So all
runs inform what campaigns share, a campaign's own few runs inform how it differs, and coefficients stay positive.
Residuals are differences of log cycles with the density of Student's t at 4 degrees of freedom, so that outliers count
little (Lange et al., "Robust statistical modeling using the t distribution", JASA 1989). The maximum of the posterior
is found by Gauss-Newton steps, and the curvature there gives the covariance of the coefficients.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from cost_models.calibration.posterior import Posterior
from cost_models.calibration.timing_model import BoundModel, TimingModel, measured_cycles, sensitivity
from cost_models.measurements.measurement import Measurement
from hw_templates.foundation.arrays import FloatArray

_FREEDOM = 4.0
_NOISE_ROUNDS = 3
_NOISE_RUNS = 2
_FIRST_NOISE, _LEAST_NOISE = 0.05, 0.01


def estimate(model: TimingModel, runs: Sequence[Measurement], start: Posterior | None = None) -> Posterior:
    """Return the most probable coefficients given the runs, with their covariance and the noise.

    Args:
        model: of the runs' engine.
        runs: measured.
        start: where the search begins; None for the prior.
    """
    problem = _Estimation.of(model, runs)
    point = problem.start(start)
    noise = np.full(len(problem.campaigns), start.common_noise if start else _FIRST_NOISE)
    for _ in range(_NOISE_ROUNDS):
        point = problem.solve(point, noise)
        noise, common = problem.noise(point, noise)
    shared, differences = problem.unpack(point)
    return Posterior(
        parameters=tuple(parameter.name for parameter in model.parameters),
        campaigns=problem.campaigns,
        campaign_spread=problem.campaign_spread,
        shared=shared,
        differences=differences,
        covariance=problem.covariance(point, noise),
        noise=noise,
        common_noise=common,
    )


@dataclass(frozen=True, kw_only=True)
class _Estimation:
    """Unknowns are the shared values and the differences, both in units of their prior deviations."""

    model: BoundModel
    log_measured: FloatArray
    campaigns: tuple[str, ...]
    campaign: NDArray[np.intp]
    median: FloatArray
    spread: FloatArray
    campaign_spread: FloatArray

    @classmethod
    def of(cls, model: TimingModel, runs: Sequence[Measurement]) -> "_Estimation":
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
        """Return the unknowns at the prior, or at another fit's result."""
        if posterior is None:
            return np.zeros(len(self.median) * (1 + len(self.campaigns)))
        differences = posterior.theta(self.campaigns) - posterior.shared
        scaled = np.vstack([(posterior.shared - self.median) / self.spread, differences / self.campaign_spread])
        return scaled.ravel()

    def unpack(self, point: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return shared values and differences as logarithms."""
        rows = point.reshape(1 + len(self.campaigns), -1)
        return self.median + rows[0] * self.spread, rows[1:] * self.campaign_spread

    def _theta(self, point: FloatArray) -> FloatArray:
        shared, differences = self.unpack(point)
        return shared + differences[self.campaign]

    def residuals(self, point: FloatArray) -> FloatArray:
        """Return [runs] log of predicted over measured cycles."""
        return np.log(self.model.cycles(self._theta(point))) - self.log_measured

    def slopes(self, point: FloatArray) -> FloatArray:
        """Return [runs, unknowns] derivatives of :meth:`residuals`."""
        slopes = sensitivity(self.model, self._theta(point))
        size, count = len(self.median), len(self.campaigns)
        full = np.zeros((len(slopes), size * (1 + count)))
        full[:, :size] = slopes * self.spread
        for index in range(count):
            rows = self.campaign == index
            full[rows, size * (1 + index) : size * (2 + index)] = slopes[rows] * self.campaign_spread
        return full

    def solve(self, point: FloatArray, noise: FloatArray) -> FloatArray:
        """Return the most probable unknowns for given noises [campaigns]."""
        deviation = noise[self.campaign]

        def value(point: FloatArray) -> FloatArray:
            return np.concatenate([_robust(self.residuals(point) / deviation), point])

        def jacobian(point: FloatArray) -> FloatArray:
            weight = _robust_slope(self.residuals(point) / deviation) / deviation
            return np.vstack([weight[:, None] * self.slopes(point), np.eye(len(point))])

        solution: FloatArray = least_squares(value, point, jacobian, ftol=1e-6, xtol=1e-6, max_nfev=100).x
        return solution

    def _weight(self, point: FloatArray, noise: FloatArray) -> FloatArray:
        """Return [runs] weights that Student's t gives to the residuals."""
        return (_FREEDOM + 1) / (_FREEDOM + (self.residuals(point) / noise[self.campaign]) ** 2)

    def _curvature(self, point: FloatArray, noise: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return weighted slopes [runs, unknowns], and the unknowns' covariance in units of their prior deviations."""
        slopes = self.slopes(point) * (np.sqrt(self._weight(point, noise)) / noise[self.campaign])[:, None]
        return slopes, np.linalg.inv(slopes.T @ slopes + np.eye(slopes.shape[1]))

    def covariance(self, point: FloatArray, noise: FloatArray) -> FloatArray:
        """Return the covariance of shared values and differences, from the curvature at the solution."""
        deviations = np.concatenate([self.spread, np.tile(self.campaign_spread, len(self.campaigns))])
        return self._curvature(point, noise)[1] * np.outer(deviations, deviations)

    def noise(self, point: FloatArray, noise: FloatArray) -> tuple[FloatArray, float]:
        """Return the scale of the residuals' t distribution, after a step of EM, of each campaign and of all runs.

        It is corrected for the degrees of freedom that the fit used, and a campaign's is drawn to that of all runs as
        if it had ``_NOISE_RUNS`` more runs with the latter.
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
    """Return residuals whose squares are twice the negative log of Student's t density."""
    robust: FloatArray = np.sign(scaled) * np.sqrt((_FREEDOM + 1) * np.log1p(scaled**2 / _FREEDOM))
    return robust


def _robust_slope(scaled: FloatArray) -> FloatArray:
    """Return the derivative of :func:`_robust`."""
    at_zero = math.sqrt((_FREEDOM + 1) / _FREEDOM)
    robust = np.abs(_robust(scaled))
    safe = np.where(robust > 1e-8, robust, 1.0)
    return np.where(robust > 1e-8, (_FREEDOM + 1) * np.abs(scaled) / ((_FREEDOM + scaled**2) * safe), at_zero)
