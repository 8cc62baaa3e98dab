"""The coefficients of a timing model after a fit, with what it leaves uncertain, and the predictions that follow."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cost_models.calibration.timing_model import TimingModel, sensitivity
from cost_models.measurements.measurement import EngineRun
from hw_templates.foundation.arrays import FloatArray
from hw_templates.foundation.errors import InvalidValueError

LOGARITHM_MAX = 50.0
"""No logarithm of a coefficient, and no deviation or covariance of one, is larger."""
_NEAR_ZERO = 1e-4
_FIRST_NOISE = 0.05
_WIDEST = 300.0
"""No interval extends further than by exp of this: a float holds no larger cycles."""


@dataclass(frozen=True, kw_only=True)
class Posterior:
    """Distribution of P coefficients in C campaigns after a fit; all values are logarithms.

    Attributes:
        parameters: names of the coefficients.
        campaigns: names.
        campaign_spread: [P] standard deviation over campaigns before any is measured.
        shared: [P] values that campaigns share.
        differences: [C, P] of each campaign.
        covariance: [(1 + C) P, (1 + C) P] of ``shared`` and ``differences`` together.
        noise: [C] standard deviation of each campaign's runs around the model.
        common_noise: that of all runs, which stands for an unknown campaign's.
    """

    parameters: tuple[str, ...]
    campaigns: tuple[str, ...]
    campaign_spread: FloatArray
    shared: FloatArray
    differences: FloatArray
    covariance: FloatArray
    noise: FloatArray
    common_noise: float

    def theta(self, campaigns: Sequence[str]) -> FloatArray:
        """Return [campaigns, P] coefficients; those of an unknown campaign are the shared ones."""
        known = {name: index for index, name in enumerate(self.campaigns)}
        differences = np.vstack([self.differences, np.zeros(len(self.shared))])
        theta: FloatArray = self.shared + differences[[known.get(name, -1) for name in campaigns]]
        return theta

    def deviation(self, campaign: str) -> float:
        """Return the noise of one campaign."""
        known: dict[str, float] = dict(zip(self.campaigns, self.noise.tolist(), strict=True))
        return known.get(campaign, self.common_noise)

    def uncertainty(self, campaign: str) -> FloatArray:
        """Return [P, P] covariance of one campaign's coefficients; an unknown one adds its spread over campaigns."""
        size = len(self.shared)
        covariance: FloatArray = self.covariance[:size, :size]
        if campaign in self.campaigns:
            start = size * (1 + self.campaigns.index(campaign))
            own = slice(start, start + size)
            cross = self.covariance[:size, own]
            covariance = covariance + cross + cross.T + self.covariance[own, own]
        else:
            covariance = covariance + np.diag(self.campaign_spread**2)
        return covariance

    def check(self) -> None:
        """Check the shapes and values of the arrays, as those of a calibration's file.

        Raises:
            InvalidValueError: an array is misshapen, a value is far from zero, or the covariance is none.
        """
        size, count = len(self.parameters), len(self.campaigns)
        both = (1 + count) * size
        shapes = {
            "campaign_spread": (size,),
            "shared": (size,),
            "differences": (count, size),
            "covariance": (both, both),
            "noise": (count,),
            "common_noise": (),
        }
        for field, shape in shapes.items():
            name, array = f"calibration.posterior.{field}", np.asarray(getattr(self, field))
            if array.shape != shape and (array.size or 0 not in shape):
                raise InvalidValueError(name, array.tolist(), f"of shape {shape}")
            least = 0.0 if "noise" in field or "spread" in field else -LOGARITHM_MAX
            outside = array[(array < least) | (array > LOGARITHM_MAX)]
            if outside.size:
                raise InvalidValueError(name, float(outside[0]), f"in {least:g}..{LOGARITHM_MAX:g}")
        covariance = self.covariance
        near = _NEAR_ZERO * np.abs(covariance).max()
        symmetric = np.abs(covariance - covariance.T).max() <= near
        if not symmetric or np.linalg.eigvalsh(covariance).min() < -near:
            expected = "positive semidefinite" if symmetric else "symmetric"
            raise InvalidValueError("calibration.posterior.covariance", covariance.tolist(), expected)


def prior_of(model: TimingModel) -> Posterior:
    """Return the distribution of a model's coefficients before anything is measured."""
    parameters = model.parameters
    return Posterior(
        parameters=tuple(parameter.name for parameter in parameters),
        campaigns=(),
        campaign_spread=np.array([parameter.campaign_spread for parameter in parameters]),
        shared=np.log([parameter.median for parameter in parameters]),
        differences=np.zeros((0, len(parameters))),
        covariance=np.diag([parameter.spread**2 for parameter in parameters]),
        noise=np.zeros(0),
        common_noise=_FIRST_NOISE,
    )


@dataclass(frozen=True)
class Prediction:
    """[runs] cycles with the bounds of their intervals; ``deviation`` is that of the logarithm."""

    cycles: FloatArray
    low: FloatArray
    high: FloatArray
    deviation: FloatArray


def predict(
    model: TimingModel, runs: Sequence[EngineRun], posterior: Posterior, width: float | FloatArray
) -> Prediction:
    """Predict the cycles of runs, with intervals of ``width`` deviations to each side."""
    campaigns, bound = [run.campaign for run in runs], model.bind(runs)
    theta = posterior.theta(campaigns)
    cycles = bound.cycles(theta)
    slopes = sensitivity(bound, theta)
    covariance = np.stack([posterior.uncertainty(campaign) for campaign in campaigns])
    variance = np.einsum("rp,rpq,rq->r", slopes, covariance, slopes)
    variance += [posterior.deviation(campaign) ** 2 for campaign in campaigns]
    # Rounded covariances may make a variance of zero slightly negative.
    deviation = np.sqrt(np.maximum(variance, 0.0))
    factor = np.exp(np.minimum(width * deviation, _WIDEST))
    return Prediction(cycles, cycles / factor, cycles * factor, deviation)
