"""A joint space, and accuracies that are a plain function of the genes: no training is needed to test a search."""

from dataclasses import dataclass

import numpy as np
import optuna
import pytest

from codesign.search.joint_space import JointSpace
from codesign.supernet.space import DIGITS, Space
from hw_templates.accelerator_space import AcceleratorSpace
from hw_templates.board import load_board


@dataclass(frozen=True)
class CapacityAccuracy:
    """Larger choices give more accuracy, each with less effect than the last; deterministic and picklable."""

    space: Space

    def accuracy(self, genes):
        largest = np.array([len(choices) - 1 for _, choices in self.space.genes])
        weights = 1.0 + np.arange(len(largest)) % 3
        capacity = (genes / largest) @ weights / weights.sum()
        return 0.99 - 0.25 * np.exp(-3 * capacity)


@pytest.fixture(scope="session")
def joint():
    return JointSpace(DIGITS, AcceleratorSpace(load_board("pynq-z2")))


@pytest.fixture(scope="session")
def oracle():
    return CapacityAccuracy(DIGITS)


@pytest.fixture(autouse=True)
def quiet_optuna():
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    optuna.logging.set_verbosity(before)
