"""Which runs to measure next: those that teach most about the coefficients.

A run with sensitivities j changes the covariance S of the logarithms of the coefficients to

    S - S j j' S / (noise**2 + j' S j)

whatever it measures, which divides its determinant by 1 + j' S j / noise**2. Runs are chosen one after the other, each
the one that divides it most. As j depends on coefficients that are not known yet, the logarithm is averaged over draws
of them: sequential Bayesian D-optimal design (Chaloner and Verdinelli, "Bayesian experimental design: a review",
Statistical Science 1995).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cost_models.calibration.posterior import Posterior
from cost_models.calibration.timing_model import TimingModel, sensitivity
from cost_models.measurements.measurement import EngineRun
from hw_templates.foundation.arrays import FloatArray
from hw_templates.foundation.errors import InvalidValueError

_DRAWS = 64


@dataclass(frozen=True)
class Plan:
    """Candidates to measure, in the order they were chosen.

    Attributes:
        chosen: their indices.
        deviations: [1 + chosen] mean standard deviation of all candidates' log cycles before and after each.
    """

    chosen: tuple[int, ...]
    deviations: tuple[float, ...]


def plan(model: TimingModel, candidates: Sequence[EngineRun], known: Posterior, budget: int) -> Plan:
    """Choose ``budget`` of the candidates: those whose measured times teach most about the coefficients.

    Args:
        model: of the candidates' engine.
        candidates: runs that could be measured, all of one campaign.
        known: the coefficients after earlier fits.
        budget: how many to choose.

    Raises:
        InvalidValueError: there are fewer candidates than that.
    """
    if not 1 <= budget <= len(candidates):
        raise InvalidValueError("plan.budget", budget, f"1 to {len(candidates)}, the number of candidates")
    campaign = candidates[0].campaign
    prior, noise = known.uncertainty(campaign), known.deviation(campaign)
    rng, bound = np.random.default_rng(0), model.bind(candidates)
    draws = rng.multivariate_normal(known.theta([campaign])[0], prior, _DRAWS, method="cholesky")
    # [draws, candidates, parameters], each draw with other coefficients.
    slopes = np.stack([sensitivity(bound, np.tile(theta, (len(candidates), 1))) for theta in draws])
    covariance = np.repeat(prior[None], _DRAWS, axis=0)
    chosen: list[int] = []
    variances = [_variance(slopes, covariance)]
    for _ in range(budget):
        gain = np.log1p(variances[-1] / noise**2).sum(axis=0)
        gain[chosen] = -np.inf
        best = int(gain.argmax())
        spread = np.einsum("dpq,dq->dp", covariance, slopes[:, best])
        scale = noise**2 + variances[-1][:, best]
        covariance = covariance - spread[:, :, None] * spread[:, None, :] / scale[:, None, None]
        variances.append(_variance(slopes, covariance))
        chosen.append(best)
    return Plan(tuple(chosen), tuple(float(np.sqrt(variance).mean()) for variance in variances))


def _variance(slopes: FloatArray, covariance: FloatArray) -> FloatArray:
    """Return [draws, candidates] variances of log cycles without the noise."""
    variance: FloatArray = np.maximum(np.einsum("drp,dpq,drq->dr", slopes, covariance, slopes, optimize=True), 0.0)
    return variance
