"""Fixtures that tests of the commands share."""

import pytest
from official_stand_in import put_in_place


@pytest.fixture
def official_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Official accuracies that need no published file."""
    put_in_place(monkeypatch.setattr)
