"""JointSampler where some parameters are fixed, narrowed, or sampled by somebody else."""

import optuna
import pytest
from optuna.distributions import IntDistribution
from optuna.samplers import BaseSampler, PartialFixedSampler, RandomSampler
from optuna.trial import TrialState

from codesign.search.joint_space import JointSpace
from codesign.search.pareto import ReferencePoint
from codesign.search.problem import joint_objective
from codesign.search.study import is_feasible, read_pairs
from codesign.supernet.accuracy.predictor import LEAST_SUBNETS
from codesign.templates.engine.problem import EngineProblem
from codesign.templates.engine.sampler import JointSampler
from cost_models.coefficients import load_coefficients
from hw_templates.foundation.errors import InfeasibleError, InvalidValueError

DIRECTIONS = ["maximize", "minimize", "minimize"]
REFERENCE = ReferencePoint(accuracy=0.5, latency_ms=1.0, energy_mj=2.0)

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


def make_study(joint, wrap=lambda sampler: sampler, seed=0):
    return optuna.create_study(
        directions=DIRECTIONS, sampler=wrap(JointSampler(EngineProblem(joint, load_coefficients()), seed))
    )


def run(study, joint, oracle, trials):
    study.optimize(joint_objective(EngineProblem(joint, load_coefficients()), oracle), n_trials=trials)
    return study.trials[-trials:]


def pairs_of(trials):
    return {frozenset(trial.params.items()) for trial in trials}


@pytest.mark.parametrize(
    "fixed",
    [
        # Only 32-bit ports serve an array of 12 rows: what is free must go with what is fixed.
        {"pe_rows": 12},
        {"pe_rows": 12, "pe_cols": 8, "clock_mhz": 100, "weight_kib": 16},
        {"stage1.depth": 1, "stage1.block2.kernel": 5, "stage2.block1.expand": 2},
        {"stage1.block2.kernel": 3, "pack": 1, "map_kib": 32},
    ],
)
def test_pairs_have_the_fixed_values_and_go_with_them(joint, oracle, fixed):
    study = make_study(joint, lambda sampler: PartialFixedSampler(fixed, sampler))
    trials = run(study, joint, oracle, LEAST_SUBNETS + 6)
    for trial in trials:
        assert is_feasible(trial)
        assert fixed.items() & trial.params.items() == {item for item in fixed.items() if item[0] in trial.params}
    asked = set().union(*(trial.params for trial in trials))
    absent = {"stage1.block2.kernel"} if fixed.get("stage1.depth") == 1 else set()
    assert fixed.keys() - absent <= asked
    assert len(pairs_of(trials)) == len(trials)


def test_the_rest_is_searched_within_what_is_fixed(joint, oracle):
    fixed = {"pe_rows": 8, "stage2.depth": 1}
    reached = []
    for sampler in (JointSampler(EngineProblem(joint, load_coefficients()), 1), RandomSampler(1)):
        study = optuna.create_study(directions=DIRECTIONS, sampler=PartialFixedSampler(fixed, sampler))
        run(study, joint, oracle, 36)
        found = read_pairs(joint, [trial for trial in study.trials if is_feasible(trial)])
        reached.append(REFERENCE.hypervolume(found.values))
    assert reached[0] > reached[1]


def test_parameters_are_fixed_after_some_trials_and_freed_again(joint, oracle):
    study = make_study(joint)
    run(study, joint, oracle, LEAST_SUBNETS + 2)
    free = study.sampler
    study.sampler = PartialFixedSampler({"pe_pixels": 3}, free)
    assert {trial.params["pe_pixels"] for trial in run(study, joint, oracle, 6)} == {3}
    study.sampler = free
    run(study, joint, oracle, 6)
    assert all(is_feasible(trial) for trial in study.trials)
    assert len(pairs_of(study.trials)) == len(study.trials)


def test_fixed_within_fixed(joint, oracle):
    study = make_study(
        joint, lambda sampler: PartialFixedSampler({"pack": 1}, PartialFixedSampler({"pe_rows": 12}, sampler))
    )
    for trial in run(study, joint, oracle, 6):
        assert is_feasible(trial)
        assert (trial.params["pack"], trial.params["pe_rows"]) == (1, 12)


def test_where_all_is_fixed_the_one_pair_is_tried_again(joint, oracle):
    (trial,) = run(make_study(joint), joint, oracle, 1)
    study = make_study(joint, lambda sampler: PartialFixedSampler(dict(trial.params), sampler))
    assert pairs_of(run(study, joint, oracle, 3)) == pairs_of([trial])


def test_the_last_pairs_of_a_small_part_are_found(joint, oracle):
    (trial,) = run(make_study(joint), joint, oracle, 1)
    fixed = {name: value for name, value in trial.params.items() if name not in ("ofmap_buffers", "weight_buffers")}
    study = make_study(joint, lambda sampler: PartialFixedSampler(fixed, sampler))
    assert len(pairs_of(run(study, joint, oracle, 4))) == 4


def test_a_space_of_one_subnet_is_sampled_for_its_accelerators(joint):
    class SameAccuracy:
        def accuracy(self, genes):
            return [0.9] * len(genes)

    one = JointSpace(joint.space.only(joint.space.largest()), joint.accelerators)
    trials = run(make_study(one), one, SameAccuracy(), 24)
    assert all(is_feasible(trial) for trial in trials)
    assert len(pairs_of(trials)) == 24
    # The first pair is the best compromise of few accelerators.
    assert min(trial.values[1] for trial in trials[1:]) < trials[0].values[1]
    assert min(trial.values[2] for trial in trials[1:]) < trials[0].values[2]


@pytest.mark.parametrize(
    ("fixed", "error", "message"),
    [
        ({"stage1.block1.kernel": 4}, InvalidValueError, r"params\.stage1\.block1\.kernel: must be one of .*, got 4"),
        # Optuna's own word.
        ({"pe_pixels": 5}, ValueError, "'5' not in"),
        ({"pe_rows": 64, "pe_cols": 64}, InfeasibleError, "fits pynq-z2 with pe_rows 64, pe_cols 64: the nearest"),
        ({"pe_rows": 12, "axi_bits": 64}, InfeasibleError, "with pe_rows 12, axi_bits 64: none is legal"),
    ],
)
@pytest.mark.filterwarnings("ignore:Fixed parameter")
def test_values_that_cannot_be_are_refused(joint, oracle, fixed, error, message):
    study = make_study(joint, lambda sampler: PartialFixedSampler(fixed, sampler))
    with pytest.raises(error, match=message):
        run(study, joint, oracle, 1)


class Leaving(BaseSampler):
    """Leaves parameters to the independent sampling of another sampler, and narrows the range of others."""

    def __init__(self, base, left, narrowed):
        self.base, self.left, self.narrowed = base, left, narrowed

    def infer_relative_search_space(self, study, trial):
        space = self.base.infer_relative_search_space(study, trial)
        return {name: dist for name, dist in space.items() if name not in self.left} | self.narrowed

    def sample_relative(self, study, trial, search_space):
        values = self.base.sample_relative(study, trial, search_space)
        assert values.keys() <= search_space.keys()
        return values

    def sample_independent(self, study, trial, param_name, param_distribution):
        return self.base.sample_independent(study, trial, param_name, param_distribution)


def test_a_part_of_the_search_space_gets_values_that_go_with_the_rest(joint, oracle):
    narrowed = {"stage1.block1.kernel": IntDistribution(5, 7, step=2)}
    study = make_study(joint, lambda sampler: Leaving(sampler, {"pe_rows", "axi_bits", "pack", "pe_cols"}, narrowed))
    trials = run(study, joint, oracle, LEAST_SUBNETS + 4)
    # Drawn apart from the others, half of these values would make no accelerator that fits.
    assert all(is_feasible(trial) for trial in trials)
    assert {trial.params["stage1.block1.kernel"] for trial in trials} == {5, 7}


def test_values_that_are_asked_for_apart_are_those_of_the_pair(joint, oracle):
    apart = make_study(joint, lambda sampler: Leaving(sampler, {"pe_rows", "pack", "stage1.depth"}, {}), seed=9)
    assert [trial.params for trial in run(apart, joint, oracle, 6)] == [
        trial.params for trial in run(make_study(joint, seed=9), joint, oracle, 6)
    ]


def test_what_was_given_to_an_enqueued_trial_is_kept_and_the_rest_goes_with_it(joint, oracle):
    study = make_study(joint)
    given = {"pe_rows": 12, "stage1.depth": 2}
    study.enqueue_trial(given)
    study.enqueue_trial({"voltage": 1.0, "pe_cols": 24})
    first, second = run(study, joint, oracle, 2)
    assert is_feasible(first)
    assert given.items() <= first.params.items()
    assert is_feasible(second)
    assert second.params["pe_cols"] == 24


def test_an_enqueued_trial_that_cannot_fit_is_tried_all_the_same(joint, oracle):
    study = make_study(joint)
    study.enqueue_trial({"pe_rows": 64, "pe_cols": 64, "pe_pixels": 8})
    first, second = run(study, joint, oracle, 2)
    assert (first.params["pe_rows"], first.params["pe_cols"]) == (64, 64)
    assert first.state == TrialState.PRUNED or max(first.constraints.values()) > 0
    assert is_feasible(second)
