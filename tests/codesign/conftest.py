"""One small run, made once and read by many tests."""

from pathlib import Path

import pytest
from support.networks.official_stand_in import put_in_place
from support.tiny_run import make_tiny_run

from codesign.run.folder import Run


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run through every command; tests that change something copy it first."""
    run = Run(Path(tmp_path_factory.mktemp("runs")) / "tiny")
    make_tiny_run(run)
    return run


@pytest.fixture
def official_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Official accuracies that need no published file."""
    put_in_place(monkeypatch.setattr)
