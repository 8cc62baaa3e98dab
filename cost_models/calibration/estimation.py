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
from dataclasses import replace

import numpy as np
from scipy.optimize import least_squares

from cost_models.calibration.posterior import Posterior, prior_of
from cost_models.calibration.timing_model import TimingModel, measured_cycles, sensitivity
from cost_models.measurements.measurement import Measurement
from hw_templates.foundation.arrays import FloatArray, IntArray

_FREEDOM = 4.0
_NOISE_ROUNDS = 3
_NOISE_RUNS = 2
_LEAST_NOISE = 0.01


def estimate(model: TimingModel, runs: Sequence[Measurement], start: Posterior | None = None) -> Posterior:
    """Return the most probable coefficients given the runs, with their covariance and the noise.

    Args:
        model: of the runs' engine.
        runs: measured.
        start: where the search begins; None for the prior.
    """
    problem = _Estimation(model, runs)
    start = start or problem.prior
    point = problem.scaled(start)
    noise = np.full(len(problem.campaigns), start.common_noise)
    for _ in range(_NOISE_ROUNDS):
        point = problem.solve(point, noise)
        noise, common = problem.noise(point, noise)
    shared, differences = problem.unpack(point)
    return replace(
        problem.prior,
        campaigns=problem.campaigns,
        shared=shared,
        differences=differences,
        covariance=problem.covariance(point, noise),
        noise=noise,
        common_noise=common,
    )


class _Estimation:
    """Unknowns are the shared values and the differences, both in units of their prior deviations."""

    def __init__(self, model: TimingModel, runs: Sequence[Measurement]) -> None:
        self.prior = prior_of(model)
        self.campaigns = tuple(dict.fromkeys(run.campaign for run in runs))
        self._model = model.bind(runs)
        self._log_measured: FloatArray = np.log(measured_cycles(runs))
        self._campaign: IntArray = np.array([self.campaigns.index(run.campaign) for run in runs])
        spread = [parameter.spread for parameter in model.parameters]
        self._deviations: FloatArray = np.vstack([spread, *[self.prior.campaign_spread] * len(self.campaigns)])

    def scaled(self, posterior: Posterior) -> FloatArray:
        """Return the unknowns at the coefficients of a posterior."""
        differences = posterior.theta(self.campaigns) - posterior.shared
        return (np.vstack([posterior.shared - self.prior.shared, differences]) / self._deviations).ravel()

    def unpack(self, point: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return shared values and differences as logarithms."""
        rows = point.reshape(self._deviations.shape) * self._deviations
        return self.prior.shared + rows[0], rows[1:]

    def _theta(self, point: FloatArray) -> FloatArray:
        shared, differences = self.unpack(point)
        return shared + differences[self._campaign]

    def _residuals(self, point: FloatArray) -> FloatArray:
        """Return [runs] log of predicted over measured cycles."""
        return np.log(self._model.cycles(self._theta(point))) - self._log_measured

    def _slopes(self, point: FloatArray) -> FloatArray:
        """Return [runs, unknowns] derivatives of :meth:`_residuals`."""
        slopes = sensitivity(self._model, self._theta(point))
        rows = np.arange(len(self._deviations))
        depends = (rows == 0) | (rows == 1 + self._campaign[:, None])
        return np.where(depends[..., None], slopes[:, None] * self._deviations, 0.0).reshape(len(slopes), -1)

    def solve(self, point: FloatArray, noise: FloatArray) -> FloatArray:
        """Return the most probable unknowns for given noises [campaigns]."""
        deviation = noise[self._campaign]

        def value(point: FloatArray) -> FloatArray:
            return np.concatenate([_robust(self._residuals(point) / deviation), point])

        def jacobian(point: FloatArray) -> FloatArray:
            weight = _robust_slope(self._residuals(point) / deviation) / deviation
            return np.vstack([weight[:, None] * self._slopes(point), np.eye(len(point))])

        solution: FloatArray = least_squares(value, point, jacobian, ftol=1e-6, xtol=1e-6, max_nfev=100).x
        return solution

    def _curvature(self, point: FloatArray, noise: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return slopes [runs, unknowns] and squared residuals [runs], weighted by Student's t, and the covariance.

        The covariance is that of the unknowns in units of their prior deviations.
        """
        residuals, deviation = self._residuals(point), noise[self._campaign]
        weight = (_FREEDOM + 1) / (_FREEDOM + (residuals / deviation) ** 2)
        slopes = self._slopes(point) * (np.sqrt(weight) / deviation)[:, None]
        return slopes, weight * residuals**2, np.linalg.inv(slopes.T @ slopes + np.eye(len(point)))

    def covariance(self, point: FloatArray, noise: FloatArray) -> FloatArray:
        """Return the covariance of shared values and differences, from the curvature at the solution."""
        deviations = self._deviations.ravel()
        return self._curvature(point, noise)[-1] * np.outer(deviations, deviations)

    def noise(self, point: FloatArray, noise: FloatArray) -> tuple[FloatArray, float]:
        """Return the scale of the residuals' t distribution, after a step of EM, of each campaign and of all runs.

        It is corrected for the degrees of freedom that the fit used, and a campaign's is drawn to that of all runs as
        if it had ``_NOISE_RUNS`` more runs with the latter.
        """
        slopes, square, covariance = self._curvature(point, noise)
        used = np.einsum("ru,uv,rv->r", slopes, covariance, slopes)
        free = 1 - np.minimum(used, 1.0)
        common = float(square.sum() / max(free.sum(), 1.0))
        sums, frees = (np.bincount(self._campaign, values) for values in (square, free))
        each = (sums + _NOISE_RUNS * common) / (frees + _NOISE_RUNS)
        return np.maximum(np.sqrt(each), _LEAST_NOISE), max(math.sqrt(common), _LEAST_NOISE)


def _robust(scaled: FloatArray) -> FloatArray:
    """Return residuals whose squares are twice the negative log of Student's t density."""
    robust: FloatArray = np.sign(scaled) * np.sqrt((_FREEDOM + 1) * np.log1p(scaled**2 / _FREEDOM))
    return robust


def _robust_slope(scaled: FloatArray) -> FloatArray:
    """Return the derivative of :func:`_robust`."""
    robust = np.abs(_robust(scaled))
    is_zero = robust <= 1e-8
    slope = (_FREEDOM + 1) * np.abs(scaled) / ((_FREEDOM + scaled**2) * np.where(is_zero, 1.0, robust))
    return np.where(is_zero, math.sqrt((_FREEDOM + 1) / _FREEDOM), slope)
