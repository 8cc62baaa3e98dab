"""Intervals whose widths come from runs that were left out of a fit.

An interval is exp(prediction -+ width * deviation). The deviation adds what the coefficients leave open to the noise;
the width is a quantile of |residual| / deviation over runs that were left out of a fit in turn, in which runs of other
campaigns weigh half: split conformal prediction over folds (Lei et al., "Distribution-free predictive inference for
regression", JASA 2018) with the weights of Barber et al. ("Conformal prediction beyond exchangeability", Annals of
Statistics 2023).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hw_templates.foundation.arrays import FloatArray
from hw_templates.foundation.json_records import ZeroOrMore

COVERAGE = 0.9
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
        weights = campaign_weights(np.array(self.campaigns), campaign)
        return math.exp(interval_width(self.score * self.deviation, weights, COVERAGE))

    @property
    def widths(self) -> Widths:
        """Widths of intervals that cover the share ``COVERAGE`` of runs like these."""
        score, names = self.score, np.array(self.campaigns)

        def width(campaign: str | None) -> float:
            return interval_width(score, campaign_weights(names, campaign), COVERAGE)

        return Widths({name: width(name) for name in dict.fromkeys(self.campaigns)}, width(None))


def campaign_weights(campaigns: NDArray[np.str_], campaign: str | None) -> FloatArray:
    """Return [runs] weights in the width for one campaign: 1 for its own runs, half for those of others."""
    return np.where(campaigns == campaign, 1.0, _OTHER_CAMPAIGN)


def interval_width(score: FloatArray, weight: FloatArray, coverage: float) -> float:
    """Return the least score within which the share ``coverage`` of the weight lies; the new run's own weight is 1."""
    order = np.argsort(score)
    share = np.cumsum(weight[order]) / (weight.sum() + 1)
    # Sums that should be equal may differ in the last digit.
    place = int(np.searchsorted(share, coverage - 1e-9))
    return float(score[order][min(place, len(order) - 1)])
