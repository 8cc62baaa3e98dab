import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import create_trial

from codesign.templates.engine.sampler import TrialReader

DIRECTIONS = ["maximize", "minimize", "minimize"]


@pytest.fixture
def reader(problem):
    return TrialReader(problem)


@pytest.fixture
def study():
    return optuna.create_study(directions=DIRECTIONS, sampler=optuna.samplers.RandomSampler(seed=0))


def frozen(study, trial):
    return study.get_trials(deepcopy=False)[trial.number]


def test_of_two_that_claim_one_pair_no_more_than_one_gets_it(joint, reader, study, archive):
    first, second = study.ask(), study.ask()
    row, other = archive.rows[:2]
    assert reader.claim(study, frozen(study, first), row)
    assert not reader.claim(study, frozen(study, second), row)
    assert reader.claim(study, frozen(study, second), other)
    assert reader.claim(study, frozen(study, first), row)
    assert (reader.claimed(frozen(study, second)) == other).all()


def test_trials_of_every_state_count_and_running_ones_are_told_apart(joint, reader, study, archive):
    pairs = archive.rows[:6]
    complete, pruned, failed, running, enqueued, own = joint.params(pairs)
    for params, state, values in (
        (complete, optuna.trial.TrialState.COMPLETE, [0.5, 1.0, 1.0]),
        (pruned, optuna.trial.TrialState.PRUNED, None),
        (failed, optuna.trial.TrialState.FAIL, None),
        (own | {"voltage": 0.5}, optuna.trial.TrialState.FAIL, None),
    ):
        distributions = {name: joint.distributions.get(name, FloatDistribution(0, 1)) for name in params}
        study.add_trial(create_trial(params=params, distributions=distributions, values=values, state=state))
    study.enqueue_trial(running)
    joint.suggest(study.ask())
    study.enqueue_trial(enqueued)
    study.enqueue_trial({"pe_rows": 8})
    mine = study.add_trial(create_trial(state=optuna.trial.TrialState.FAIL)) or study.get_trials()[-1]
    tried = reader.tried(study, mine)
    assert tried.rows == {row.tobytes() for row in pairs}
    assert tried.subnets == {row[: joint.gene_count].tobytes() for row in pairs}
    assert {row.tobytes() for row in tried.running} == {pairs[3].tobytes(), pairs[4].tobytes()}


@pytest.mark.parametrize("claim", ["text", [], [0] * 3, [-1] * 27, [10**6] * 27, [0.0] * 27, {"a": 1}, None])
def test_a_damaged_claim_is_none(joint, reader, study, claim):
    trial = study.ask()
    claim = claim if not isinstance(claim, list) or len(claim) < 20 else claim[:1] * len(joint.parameters)
    study._storage.set_trial_system_attr(trial._trial_id, "codesign:pair", claim)
    assert reader.claimed(frozen(study, trial)) is None
    assert reader.tried(study, frozen(study, study.ask())).rows == frozenset()
