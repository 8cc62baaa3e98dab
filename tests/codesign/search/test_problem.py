import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from codesign.search.problem import joint_objective
from codesign.search.study import read_pairs
from codesign.templates.engine.problem import EngineProblem
from codesign.templates.engine.sampler import JointSampler
from cost_models.coefficients import load_coefficients
from cost_models.resources import RESOURCES
from hw_templates.foundation.errors import InvalidValueError

DIRECTIONS = ["maximize", "minimize", "minimize"]


@pytest.mark.parametrize(
    "make_sampler",
    [
        lambda: optuna.samplers.NSGAIISampler(population_size=10, seed=1),
        lambda: optuna.samplers.TPESampler(n_startup_trials=10, seed=1),
        lambda: optuna.samplers.RandomSampler(seed=1),
    ],
    ids=["nsga2", "tpe", "random"],
)
def test_any_sampler_optimises_the_objective(joint, oracle, pricer, make_sampler):
    study = optuna.create_study(directions=DIRECTIONS, sampler=make_sampler())
    study.optimize(joint_objective(EngineProblem(joint, load_coefficients()), oracle), n_trials=40)
    complete = study.get_trials(states=(TrialState.COMPLETE,))
    pruned = study.get_trials(states=(TrialState.PRUNED,))
    assert len(complete) + len(pruned) == 40
    assert len(complete) >= 5
    assert all(max(trial.constraints.values()) <= 0 for trial in study.best_trials)
    # The vectorised pricer agrees with the objective on every trial.
    pairs = read_pairs(joint, complete)
    genes, accelerators = np.split(pairs.rows, [joint.gene_count], axis=1)
    latency_ms, energy_mj = pricer.price(genes, accelerators)
    assert np.allclose(np.diag(latency_ms), pairs.latency_ms, rtol=1e-12)
    assert np.allclose(np.diag(energy_mj), pairs.energy_mj, rtol=1e-12)
    assert np.array_equal(oracle.accuracy(genes), pairs.accuracy)
    excess = pricer.excess(joint.designs(pairs.rows))
    assert [list(trial.constraints.values()) for trial in complete] == excess.tolist()


def test_a_fixed_trial_suggests_only_blocks_that_are_there(joint, oracle):
    asked = []

    class Recording(optuna.trial.FixedTrial):
        def suggest_int(self, name, low, high, *, step=1):
            asked.append(name)
            return super().suggest_int(name, low, high, step=step)

        def suggest_categorical(self, name, choices):
            asked.append(name)
            return super().suggest_categorical(name, choices)

    row = joint.space.encode(joint.space.smallest())
    accelerator = {"pe_rows": 8, "pe_cols": 8, "pe_pixels": 2, "pack": 2, "ifmap_kib": 16, "weight_kib": 16}
    accelerator |= {"ofmap_kib": 8, "axi_bits": 64, "clock_mhz": 100, "map_kib": 8}
    accelerator |= {"weight_port_words": 1, "ifmap_buffers": 2, "weight_buffers": 1, "ofmap_buffers": 2}
    params = {name: choices[index] for (name, choices), index in zip(joint.space.genes, row, strict=True)}
    trial = Recording(params | accelerator)
    accuracy, latency_ms, energy_mj = joint_objective(EngineProblem(joint, load_coefficients()), oracle)(trial)
    assert not [name for name in asked if "block2" in name]
    assert sorted(asked) == sorted(name for name in joint.distributions if "block2" not in name)
    assert accuracy == oracle.accuracy(row[None])[0]
    assert latency_ms > 0
    assert energy_mj > 0
    assert tuple(trial.constraints) == RESOURCES


def test_illegal_accelerators_are_pruned_with_the_reason(joint, oracle):
    study = optuna.create_study(directions=DIRECTIONS)
    params = {"pe_rows": 4, "pe_cols": 8, "pe_pixels": 1, "pack": 1, "ifmap_kib": 8, "weight_kib": 8}
    params |= {"ofmap_kib": 8, "axi_bits": 64, "clock_mhz": 100, "map_kib": 0}
    params |= {"weight_port_words": 1, "ifmap_buffers": 2, "weight_buffers": 1, "ofmap_buffers": 2}
    study.enqueue_trial(params)
    study.optimize(joint_objective(EngineProblem(joint, load_coefficients()), oracle), n_trials=1)
    assert study.trials[0].state == TrialState.PRUNED
    fixed = {name: choices[0] for name, choices in joint.space.genes} | params
    objective = joint_objective(EngineProblem(joint, load_coefficients()), oracle)
    with pytest.raises(optuna.TrialPruned, match="pe_rows: must be a multiple of the bytes of an AXI word, got 4"):
        objective(optuna.trial.FixedTrial(fixed))


@pytest.mark.parametrize("accuracy", [float("inf"), float("nan"), 7.5])
def test_an_accuracy_that_cannot_be_is_refused_as_it_enters(joint, accuracy):
    class Broken:
        def accuracy(self, genes):
            return np.full(len(genes), accuracy)

    study = optuna.create_study(directions=DIRECTIONS, sampler=JointSampler(EngineProblem(joint, load_coefficients())))
    with pytest.raises(InvalidValueError, match=rf"oracle\.accuracy\[0\]: must be in 0\.\.1, got {accuracy}"):
        study.optimize(joint_objective(EngineProblem(joint, load_coefficients()), Broken()), n_trials=1)
    assert study.get_trials(states=(TrialState.COMPLETE,)) == []


@pytest.mark.filterwarnings("ignore:Fixed parameter")
def test_an_enqueued_value_that_is_no_choice_is_named(joint, oracle):
    study = optuna.create_study(directions=DIRECTIONS, sampler=optuna.samplers.RandomSampler(seed=0))
    study.enqueue_trial({"stage1.block1.kernel": 4})
    with pytest.raises(InvalidValueError, match=r"params\.stage1\.block1\.kernel: must be one of \(3, 5, 7\), got 4"):
        study.optimize(joint_objective(EngineProblem(joint, load_coefficients()), oracle), n_trials=1)
