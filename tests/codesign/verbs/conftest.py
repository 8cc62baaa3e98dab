"""A stand-in for the published predictors, for a space of the run that is quick to search."""

from dataclasses import dataclass, replace

import pytest
from capacity_accuracy import CapacityAccuracy

from codesign.verbs import context


@dataclass(frozen=True)
class OfficialStandIn(CapacityAccuracy):
    digest: str = "0123456789abcdef"


@pytest.fixture
def official_stand_in(monkeypatch):
    """Official accuracies of any space, at all but its lowest resolution."""
    monkeypatch.setattr(context, "known_space", lambda space: replace(space, resolutions=space.resolutions[1:]))
    monkeypatch.setattr(context, "load_official_predictor", OfficialStandIn)
