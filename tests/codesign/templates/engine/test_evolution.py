from dataclasses import replace

import numpy as np
import pytest

from codesign.search.joint_space import JointSpace
from codesign.search.pareto import nondominated
from codesign.search.problem import RoundKey
from codesign.supernet.lowering.workloads import lower
from codesign.templates.engine.baselines import random_front, sequential_front
from codesign.templates.engine.evolution import evolve, price_pairs, run_round
from codesign.templates.engine.pricing import PairPricer
from codesign.templates.engine.specialise import best_subnet_within
from cost_models.coefficients import load_coefficients


def test_a_round_keeps_exactly_the_best_of_old_and_new(pricer, oracle, archive, plan):
    after = run_round(pricer, oracle, archive, RoundKey(0, 0, 1), plan).archive
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


def test_rounds_repeat_for_their_key_and_differ_for_others(pricer, oracle, archive, plan):
    one, same, other = (
        run_round(pricer, oracle, archive, RoundKey(0, worker, 3), plan).archive for worker in (0, 0, 1)
    )
    assert np.array_equal(one.rows, same.rows)
    assert not np.array_equal(one.rows, other.rows)


@pytest.mark.parametrize("screened", [1, 4])
def test_evolution_spends_its_budget_and_returns_a_feasible_front(pricer, oracle, plan, screened):
    front = evolve(pricer, oracle, 2000, 0, replace(plan, screened=screened))
    # The last round, with accelerators that are screened for four subnets.
    assert 2000 <= pricer.pairs < 2000 + 24 * plan.subnets + 4 * screened * plan.new_accelerators
    assert nondominated(front.values).all()
    assert (pricer.excess(pricer.joint.designs(front.rows)) <= 0).all()


@pytest.mark.parametrize("search", [evolve, random_front, sequential_front])
def test_a_space_of_one_subnet_is_searched_for_its_accelerators(joint, search, plan):
    subnet = joint.space.largest()
    one = JointSpace(joint.space.only(subnet), joint.accelerators)
    pricer = PairPricer(one, load_coefficients())
    front = search(pricer, SameAccuracy(), 500, 0, plan)
    assert pricer.pairs >= 500
    layers = [node.layer for node in lower(joint.space, subnet)]
    assert len(front)
    assert all([node.layer for node in lower(one.space, one.decode(row).subnet)] == layers for row in front.rows)
    latency_ms, energy_mj = PairPricer(joint, load_coefficients()).price(joint.space.encode(subnet)[None], front.rows)
    assert np.array_equal(front.values, np.stack([np.full(len(front), 0.9), latency_ms[0], energy_mj[0]], axis=1))
    best = best_subnet_within(pricer, SameAccuracy(), front.rows[0], 2 * front.latency_ms[0], 10)
    assert (best.accuracy, best.latency_ms) == (0.9, front.latency_ms[0])


class SameAccuracy:
    """An oracle to which all subnets are alike."""

    def accuracy(self, genes):
        return np.full(len(genes), 0.9)
