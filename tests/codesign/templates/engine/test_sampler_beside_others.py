"""JointSampler where several threads, processes or samplers share a study."""

import subprocess
import sys

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from codesign.search.problem import joint_objective
from codesign.search.study import is_feasible
from codesign.supernet.accuracy.predictor import LEAST_SUBNETS
from codesign.templates.engine.problem import EngineProblem
from codesign.templates.engine.sampler import JointSampler
from cost_models.coefficients import load_coefficients
from hw_templates.foundation.errors import InvalidValueError

DIRECTIONS = ["maximize", "minimize", "minimize"]


def make_sampler(joint, seed=None):
    return JointSampler(EngineProblem(joint, load_coefficients()), seed)


def pairs_of(trials):
    return {frozenset(trial.params.items()) for trial in trials}


PROCESS = """
import sys
import optuna
from support.pricing.capacity_accuracy import TINY, CapacityAccuracy
from codesign.search.joint_space import JointSpace
from codesign.search.journal import open_journal
from codesign.search.problem import joint_objective
from codesign.templates.engine.problem import EngineProblem
from codesign.templates.engine.sampler import JointSampler
from cost_models.coefficients import load_coefficients
from hw_templates.conv_engine.space import AcceleratorSpace
from hw_templates.board import load_board
from pathlib import Path

optuna.logging.set_verbosity(optuna.logging.WARNING)
joint, coefficients = JointSpace(TINY, AcceleratorSpace(load_board("pynq-z2"))), load_coefficients()
storage, sampler = open_journal(Path(sys.argv[1])), JointSampler(EngineProblem(joint, coefficients), seed=0)
study = optuna.load_study(study_name="shared", storage=storage, sampler=sampler)
print("ready", flush=True)
sys.stdin.readline()
study.optimize(joint_objective(EngineProblem(joint, coefficients), CapacityAccuracy(TINY)), n_trials=16)
"""


def test_two_processes_of_one_seed_try_no_pair_twice(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "tests/lib", prepend=":")
    journal = tmp_path / "a.journal"
    backend = optuna.storages.journal.JournalFileBackend(str(journal))
    storage = optuna.storages.JournalStorage(backend)
    study = optuna.create_study(study_name="shared", storage=storage, directions=DIRECTIONS)
    command = [sys.executable, "-c", PROCESS, str(journal)]
    both = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    try:
        assert [process.stdout.readline() for process in both] == ["ready\n"] * 2
        for process in both:
            process.stdin.write("go\n")
            process.stdin.flush()
        assert [process.communicate(timeout=300)[1] for process in both] == ["", ""]
    finally:
        for process in both:
            process.kill()
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 32
    assert len(pairs_of(study.trials)) == 32


def test_threads_try_no_pair_twice(joint, oracle):
    study = optuna.create_study(directions=DIRECTIONS, sampler=make_sampler(joint))
    study.optimize(joint_objective(EngineProblem(joint, load_coefficients()), oracle), n_trials=48, n_jobs=8)
    assert all(is_feasible(trial) for trial in study.trials)
    assert len(pairs_of(study.trials)) == 48


@pytest.fixture(scope="module")
def begun(joint, oracle):
    """A study that is past its first pairs."""
    study = optuna.create_study(directions=DIRECTIONS, sampler=make_sampler(joint, seed=1))
    study.optimize(joint_objective(EngineProblem(joint, load_coefficients()), oracle), n_trials=LEAST_SUBNETS)
    return study


@pytest.mark.parametrize("count", [0, LEAST_SUBNETS])
def test_samplers_of_one_seed_avoid_what_the_other_runs(joint, begun, count):
    study = optuna.create_study(directions=DIRECTIONS)
    study.add_trials(begun.trials[:count])
    samplers = [make_sampler(joint, seed=3) for _ in range(2)]
    rows = []
    for number in range(10):
        study.sampler = samplers[number % 2]
        trial = study.ask()
        # The pair is known to others as soon as it is chosen, before any of its parameters is asked for.
        assert trial.relative_params
        rows.append((trial, number))
    suggested = [joint.suggest(trial) for trial, _ in rows]
    assert len(np.unique(suggested, axis=0)) == 10
    assert not pairs_of(begun.trials[:count]) & pairs_of(study.get_trials(states=(TrialState.RUNNING,)))


def test_by_default_samplers_draw_differently(joint):
    first = []
    for _ in range(2):
        study = optuna.create_study(directions=DIRECTIONS, sampler=make_sampler(joint))
        first.append([joint.suggest(study.ask()).tolist() for _ in range(4)])
    assert first[0] != first[1]


def test_a_negative_seed_is_refused(joint):
    with pytest.raises(InvalidValueError, match=r"sampler\.seed: must be 0 or more, or None, got -1"):
        make_sampler(joint, seed=-1)


@pytest.mark.parametrize("ending", [optuna.TrialPruned, ArithmeticError])
def test_what_was_pruned_or_failed_is_not_tried_again(joint, oracle, begun, ending):
    objective = joint_objective(EngineProblem(joint, load_coefficients()), oracle)

    def ends(trial):
        objective(trial)
        raise ending

    study = optuna.create_study(directions=DIRECTIONS, sampler=make_sampler(joint, seed=2))
    study.add_trials(begun.trials)
    study.optimize(ends, n_trials=9, catch=(ArithmeticError,))
    assert {trial.state for trial in study.trials[LEAST_SUBNETS:]} <= {TrialState.PRUNED, TrialState.FAIL}
    assert len(pairs_of(study.trials)) == LEAST_SUBNETS + 9


def test_an_enqueued_pair_is_not_suggested_to_another_trial(joint, begun):
    ahead = optuna.create_study(directions=DIRECTIONS, sampler=make_sampler(joint, seed=4))
    ahead.add_trials(begun.trials)
    wanted = ahead.ask()
    joint.suggest(wanted)
    study = optuna.create_study(directions=DIRECTIONS, sampler=make_sampler(joint, seed=4))
    study.add_trials(begun.trials)
    first = study.ask()
    study.enqueue_trial(wanted.params)
    joint.suggest(first)
    assert first.params != wanted.params
