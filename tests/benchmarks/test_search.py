"""The joint search and its baselines, as the benchmark compares them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.networks.named_spaces import DIGITS
from support.pricing.capacity_accuracy import CapacityAccuracy

from codesign.search.joint_space import JointSpace
from codesign.search.pareto import nondominated
from codesign.supernet.lowering.workloads import lower
from codesign.templates.engine.evolution import random_front, reference_accelerator, sequential_front
from codesign.templates.engine.pricing import PairPricer
from cost_models.closed_form.estimate import price
from cost_models.coefficients import load_coefficients

BASELINES = (random_front, sequential_front)


@pytest.fixture
def search(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    import search

    return search


def mean_volume(search, method, joint, oracle, pairs, plan):
    """Of four seeds."""
    reference = search.reference_point(PairPricer(joint, load_coefficients()), oracle)
    fronts = (method(PairPricer(joint, load_coefficients()), oracle, pairs, seed, *plan) for seed in range(4))
    return np.mean([reference.hypervolume(front.values) for front in fronts])


def test_joint_search_beats_random_pairs_and_keeps_up_with_sequential_search_in_a_tiny_space(
    search, joint, oracle, plan
):
    # Over many seeds, joint and sequential search are level there.
    volumes = {
        method: mean_volume(search, method, joint, oracle, 4000, (plan,)) for method in (search.evolve, *BASELINES)
    }
    assert volumes[search.evolve] > volumes[random_front]
    assert volumes[search.evolve] > 0.99 * volumes[sequential_front]


def test_joint_search_beats_the_baselines(search, joint):
    digits, oracle = JointSpace(DIGITS, joint.accelerators), CapacityAccuracy(DIGITS)
    joint_volume, *others = (
        mean_volume(search, method, digits, oracle, 20_000, ()) for method in (search.evolve, *BASELINES)
    )
    assert joint_volume > max(others)


@pytest.mark.parametrize("screened", [1, 4])
def test_evolution_spends_its_budget_and_returns_a_feasible_front(search, pricer, oracle, plan, screened):
    front = search.evolve(pricer, oracle, 2000, 0, replace(plan, screened=screened))
    # The last round, with accelerators that are screened for four subnets.
    assert 2000 <= pricer.pairs < 2000 + 24 * plan.subnets + 4 * screened * plan.new_accelerators
    assert nondominated(front.values).all()
    assert (pricer.excess(pricer.joint.designs(front.rows)) <= 0).all()


def test_the_reference_point_is_the_largest_subnet_on_the_reference_accelerator(search, pricer, oracle):
    joint = pricer.joint
    space = joint.accelerators
    reference = search.reference_point(pricer, oracle)
    workload = lower(joint.space, joint.space.largest())
    alone = price(workload, reference_accelerator(space), space.board, pricer.coefficients)
    assert (reference.latency_ms, reference.energy_mj) == pytest.approx((alone.latency_ms, alone.energy_mj))
    smallest = oracle.accuracy(joint.space.encode(joint.space.smallest())[None])[0]
    assert smallest <= reference.accuracy < 0.9
    assert reference == search.reference_point(pricer, oracle)
