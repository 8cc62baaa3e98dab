import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from codesign.search.pareto import ReferencePoint
from codesign.search.problem import joint_objective
from codesign.search.study import is_feasible, read_pairs
from codesign.supernet.accuracy.predictor import LEAST_SUBNETS
from codesign.templates.engine.problem import EngineProblem
from codesign.templates.engine.sampler import JointSampler
from cost_models.coefficients import load_coefficients
from hw_templates.foundation.errors import InvalidValueError

DIRECTIONS = ["maximize", "minimize", "minimize"]
REFERENCE = ReferencePoint(accuracy=0.5, latency_ms=0.5, energy_mj=1.0)


def run_study(joint, oracle, sampler, trials, **storage):
    study = optuna.create_study(directions=DIRECTIONS, sampler=sampler, **storage)
    study.optimize(joint_objective(EngineProblem(joint, load_coefficients()), oracle), n_trials=trials)
    return study


def reached(joint, study):
    pairs = read_pairs(joint, [trial for trial in study.trials if is_feasible(trial)])
    return REFERENCE.hypervolume(pairs.values)


@pytest.fixture(scope="module")
def study(joint, oracle):
    return run_study(joint, oracle, JointSampler(EngineProblem(joint, load_coefficients()), seed=1), 40)


def test_every_trial_is_legal_fits_and_is_new(joint, study):
    assert all(is_feasible(trial) for trial in study.trials)
    rows = read_pairs(joint, study.trials).rows
    assert len(np.unique(rows, axis=0)) == 40


def test_the_first_trials_hold_both_ends_of_the_space(joint, study):
    subnets = [joint.decode(row).subnet for row in read_pairs(joint, study.trials[:LEAST_SUBNETS]).rows]
    assert subnets[:2] == [joint.space.smallest(), joint.space.largest()]


def test_it_reaches_more_than_a_stock_sampler(joint, oracle, study):
    stock = run_study(joint, oracle, optuna.samplers.NSGAIISampler(population_size=10, seed=1), 80)
    assert reached(joint, study) > reached(joint, stock)


def test_equal_seeds_make_equal_studies(joint, oracle, study):
    again = run_study(joint, oracle, JointSampler(EngineProblem(joint, load_coefficients()), seed=1), 26)
    assert [trial.params for trial in again.trials] == [trial.params for trial in study.trials[:26]]


def test_it_goes_on_from_trials_that_others_made(joint, oracle, study):
    resumed = optuna.create_study(
        directions=DIRECTIONS, sampler=JointSampler(EngineProblem(joint, load_coefficients()), seed=2)
    )
    resumed.add_trials(study.trials[:30])
    resumed.optimize(joint_objective(EngineProblem(joint, load_coefficients()), oracle), n_trials=8)
    before = [trial.params for trial in study.trials[:30]]
    assert all(trial.params not in before for trial in resumed.trials[30:])
    assert reached(joint, resumed) > REFERENCE.hypervolume(read_pairs(joint, study.trials[:30]).values)


def test_threads_share_it(joint, oracle):
    study = optuna.create_study(
        directions=DIRECTIONS, sampler=JointSampler(EngineProblem(joint, load_coefficients()), seed=3)
    )
    study.optimize(joint_objective(EngineProblem(joint, load_coefficients()), oracle), n_trials=24, n_jobs=2)
    assert len(study.get_trials(states=(TrialState.COMPLETE,))) == 24


def test_parameters_of_the_users_own_are_drawn_beside(joint, oracle):
    objective = joint_objective(EngineProblem(joint, load_coefficients()), oracle)

    def wider(trial):
        assert 0 <= trial.suggest_float("voltage", 0, 1) <= 1
        return objective(trial)

    study = optuna.create_study(
        directions=DIRECTIONS, sampler=JointSampler(EngineProblem(joint, load_coefficients()), seed=4)
    )
    study.optimize(wider, n_trials=LEAST_SUBNETS + 2)
    assert len({trial.params["voltage"] for trial in study.trials}) == LEAST_SUBNETS + 2


def test_a_study_of_other_directions_is_refused(joint, oracle):
    study = optuna.create_study(
        directions=["minimize"] * 3, sampler=JointSampler(EngineProblem(joint, load_coefficients()))
    )
    with pytest.raises(InvalidValueError, match=r"study\.directions: must be .*maximize.*, got \['minimize'"):
        study.optimize(joint_objective(EngineProblem(joint, load_coefficients()), oracle), n_trials=1)


def test_trials_that_cannot_be_are_left_out_and_named_once(joint, oracle, study):
    late = optuna.create_study(
        directions=DIRECTIONS, sampler=JointSampler(EngineProblem(joint, load_coefficients()), seed=5)
    )
    late.add_trials(study.trials[:LEAST_SUBNETS])
    first = study.trials[0]
    for values in ([0.9, float("inf"), 1.0], [0.9, float("inf"), 1.0], [float("inf"), 0.1, 0.1], [0.9, 0.0, 0.1]):
        late.add_trial(optuna.trial.create_trial(params=first.params, distributions=first.distributions, values=values))
    with pytest.warns(UserWarning, match="JointSampler leaves it out") as warned:
        late.optimize(joint_objective(EngineProblem(joint, load_coefficients()), oracle), n_trials=10)
    said = sorted(str(warning.message).split(":")[0] for warning in warned if "leaves it out" in str(warning.message))
    assert said == [f"trial {LEAST_SUBNETS + index}" for index in range(4)]
    assert all(is_feasible(trial) for trial in late.trials[LEAST_SUBNETS + 4 :])
    assert len(late.trials) == LEAST_SUBNETS + 14
