from dataclasses import replace

import numpy as np
import pytest

from codesign.search.baselines import random_front, reference_accelerator, reference_point, sequential_front
from codesign.search.breeding import RoundPlan, breed_accelerators, breed_subnets, draw_fitting
from codesign.search.evolution import RoundKey, evolve, no_pairs, price_pairs, run_round
from codesign.search.joint_space import JointSpace
from codesign.search.pareto import nondominated
from codesign.search.pricing import PairPricer
from codesign.supernet.lowering import lower
from cost_models.estimate import price
from cost_models.resources import check_fits
from hw_templates.accelerator import is_legal
from hw_templates.accelerator_space import AcceleratorSpace
from hw_templates.board import board_names, load_board
from hw_templates.errors import InfeasibleError, InvalidValueError

PLAN = RoundPlan(subnets=24, accelerators=8, new_accelerators=8, new_period=6, first_accelerators=24)
METHODS = (evolve, random_front, sequential_front)


@pytest.fixture
def archive(pricer, oracle):
    return run_round(pricer, oracle, no_pairs(pricer), RoundKey(0, 0, 0), PLAN).archive


def test_a_round_keeps_exactly_the_best_of_old_and_new(pricer, oracle, archive):
    after = run_round(pricer, oracle, archive, RoundKey(0, 0, 1), PLAN).archive
    assert nondominated(after.values).all()
    # No pair of the archive is lost but to one that is at least as good.
    for value in archive.values:
        good = (after.values[:, 0] >= value[0]) & (after.values[:, 1:] <= value[1:]).all(axis=1)
        assert good.any()


def test_archived_values_are_the_price_of_their_rows(pricer, oracle, archive):
    genes, accelerators = np.split(archive.rows, [pricer.joint.gene_count], axis=1)
    for index in range(0, len(archive), 5):
        alone = price_pairs(pricer, oracle, genes[[index]], accelerators[[index]])
        assert np.array_equal(alone.values[0], archive.values[index])


def test_rounds_repeat_for_their_key_and_differ_for_others(pricer, oracle, archive):
    one, same, other = (
        run_round(pricer, oracle, archive, RoundKey(0, worker, 3), PLAN).archive for worker in (0, 0, 1)
    )
    assert np.array_equal(one.rows, same.rows)
    assert not np.array_equal(one.rows, other.rows)


def test_bred_subnets_are_different_and_canonical(pricer, archive):
    space = pricer.joint.space
    genes = breed_subnets(pricer, archive, np.random.default_rng(0), PLAN, 60)
    space.check_genes(genes)
    assert len(np.unique(genes, axis=0)) == len(genes) > 30
    assert np.array_equal(space.canonical(genes), genes)


def test_the_first_batch_holds_both_ends_of_the_space(pricer):
    space = pricer.joint.space
    genes = breed_subnets(pricer, no_pairs(pricer), np.random.default_rng(0), PLAN, 20)
    assert space.smallest() in [space.decode(row) for row in genes]
    assert space.largest() in [space.decode(row) for row in genes]


def test_bred_accelerators_are_legal_fit_and_are_new(pricer, archive):
    joint = pricer.joint
    fitting, misfits = breed_accelerators(pricer, archive, np.random.default_rng(0), PLAN)
    known = {row.tobytes() for row in archive.rows[:, joint.gene_count :]}
    assert 0 < len(fitting) <= PLAN.new_accelerators
    assert not known & {row.tobytes() for row in fitting}
    for accelerator in joint.accelerators.decode(fitting):
        check_fits(accelerator, joint.accelerators.board)
    assert is_legal(joint.accelerators.decode(misfits)).all()
    assert (pricer.excess(joint.accelerators.decode(misfits)).max(axis=1) > 0).all()


@pytest.mark.parametrize("method", METHODS)
def test_methods_spend_their_budget_and_return_feasible_fronts(pricer, oracle, method):
    front = method(pricer, oracle, 2000, 0, PLAN)
    assert 2000 <= pricer.pairs < 2000 + 8 * PLAN.subnets_per_new_accelerator
    assert nondominated(front.values).all()
    assert (pricer.excess(pricer.joint.columns(front.rows)) <= 0).all()


def test_joint_search_beats_the_baselines(pricer, oracle):
    reference = reference_point(pricer, oracle)
    joint_volume, *others = (reference.hypervolume(method(pricer, oracle, 4000, 0, PLAN).values) for method in METHODS)
    assert joint_volume > max(others)


@pytest.mark.parametrize("board", board_names())
def test_the_reference_accelerator_fits_every_board(board):
    space = AcceleratorSpace(load_board(board))
    check_fits(reference_accelerator(space), space.board)


def test_the_reference_point_is_the_largest_subnet_on_the_reference_accelerator(pricer, oracle):
    joint = pricer.joint
    space = joint.accelerators
    reference = reference_point(pricer, oracle)
    workload = lower(joint.space, joint.space.largest())
    alone = price(workload, reference_accelerator(space), space.board, pricer.coefficients)
    assert (reference.latency_ms, reference.energy_mj) == pytest.approx((alone.latency_ms, alone.energy_mj))
    smallest = oracle.accuracy(joint.space.encode(joint.space.smallest())[None])[0]
    assert smallest <= reference.accuracy < 0.9
    assert reference == reference_point(pricer, oracle)


def test_a_board_too_small_names_what_binds(joint, pricer, oracle):
    board = replace(joint.accelerators.board, dsp=20)
    small = PairPricer(JointSpace(joint.space, AcceleratorSpace(board)), pricer.coefficients)
    with pytest.raises(
        InfeasibleError, match=r"no accelerator found that fits pynq-z2: the nearest needs \d+ dsp of 20"
    ):
        draw_fitting(small, np.random.default_rng(0), 4)


@pytest.mark.parametrize(
    "change",
    [{"subnets": 0}, {"new_period": 0}, {"first_accelerators": 0}, {"immigrants": 1.5}, {"mutation_rate": -0.1}],
)
def test_bad_plans_are_named(change):
    with pytest.raises(InvalidValueError, match=f"round_plan.{next(iter(change))}"):
        replace(PLAN, **change)
