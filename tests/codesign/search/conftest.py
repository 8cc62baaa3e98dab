import optuna
import pytest
from capacity_accuracy import TINY, CapacityAccuracy

from codesign.search.joint_space import JointSpace
from codesign.search.pricing import PairPricer
from cost_models.coefficients import load_coefficients
from hw_templates.accelerator_space import AcceleratorSpace
from hw_templates.board import load_board


@pytest.fixture(scope="session")
def joint():
    return JointSpace(TINY, AcceleratorSpace(load_board("pynq-z2")))


@pytest.fixture(scope="session")
def oracle():
    return CapacityAccuracy(TINY)


@pytest.fixture
def pricer(joint):
    return PairPricer(joint, load_coefficients())


@pytest.fixture(autouse=True)
def quiet_optuna():
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    optuna.logging.set_verbosity(before)
