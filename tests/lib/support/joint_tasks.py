"""Fixtures of small searches with the engine, for tests of the search and of the template."""

import optuna
import pytest
from support.pricing.capacity_accuracy import TINY, CapacityAccuracy

from codesign.search.joint_space import JointSpace
from codesign.search.pareto import no_pairs
from codesign.search.problem import RoundKey, SearchSettings
from codesign.search.study import SearchTask, StudyLocation
from codesign.templates.engine.breeding import RoundPlan
from codesign.templates.engine.evolution import EngineEvolution
from codesign.templates.engine.pricing import PairPricer
from codesign.templates.engine.problem import EngineProblem
from cost_models.coefficients import load_coefficients
from hw_templates.board import load_board
from hw_templates.conv_engine.space import AcceleratorSpace


@pytest.fixture(scope="session")
def joint():
    return JointSpace(TINY, AcceleratorSpace(load_board("pynq-z2")))


@pytest.fixture(scope="session")
def oracle():
    return CapacityAccuracy(TINY)


@pytest.fixture
def pricer(joint):
    return PairPricer(joint, load_coefficients())


@pytest.fixture(scope="session")
def plan():
    """Rounds of 128 pairs, and none to screen accelerators."""
    return RoundPlan(subnets=16, accelerators=8, new_accelerators=8, new_period=4, first_accelerators=24, screened=1)


@pytest.fixture
def archive(pricer, oracle, plan):
    """What a first round finds."""
    return EngineEvolution(pricer, oracle, plan).run_round(no_pairs(pricer.joint), RoundKey(0, 0, 0)).archive


@pytest.fixture(scope="session")
def problem(joint):
    return EngineProblem(joint, load_coefficients())


@pytest.fixture
def make_task(tmp_path, joint, oracle, plan):
    def make(pairs, name="a", workers=1, joint=joint, seed=0):
        return SearchTask(
            location=StudyLocation(str(tmp_path / f"{name}.journal"), "search"),
            problem=EngineProblem(joint, load_coefficients(), plan),
            oracle=oracle,
            accuracy_name="capacity",
            settings=SearchSettings(pairs, seed, workers),
        )

    return make


@pytest.fixture(autouse=True)
def quiet_optuna():
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    optuna.logging.set_verbosity(before)
