"""A stand-in for the published predictors, for a space of the run that is quick to search."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from support.pricing.capacity_accuracy import CapacityAccuracy

from codesign.run import requests as context


@dataclass(frozen=True)
class OfficialStandIn(CapacityAccuracy):
    digest: str = "0123456789abcdef"


def put_in_place(set_attribute: Callable[[Any, str, Any], None] = setattr) -> None:
    """Official accuracies of any space, at all but its lowest resolution."""
    set_attribute(context, "known_space", lambda space: replace(space, resolutions=space.resolutions[1:]))
    set_attribute(context, "load_official_predictor", OfficialStandIn)
