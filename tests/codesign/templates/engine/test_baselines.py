import numpy as np
import pytest
from support.networks.named_spaces import DIGITS
from support.pricing.capacity_accuracy import CapacityAccuracy

from codesign.search.joint_space import JointSpace
from codesign.search.pareto import concatenate, nondominated
from codesign.supernet.lowering.workloads import lower
from codesign.templates.engine import baselines
from codesign.templates.engine.baselines import (
    SEQUENTIAL_NETWORK_SHARE,
    random_front,
    reference_accelerator,
    reference_point,
    sequential_front,
)
from codesign.templates.engine.evolution import evolve
from codesign.templates.engine.pricing import PairPricer
from cost_models.closed_form.estimate import price
from cost_models.coefficients import load_coefficients
from cost_models.resources import check_fits
from hw_templates.board import board_names, load_board
from hw_templates.conv_engine.accelerator import AcceleratorColumns
from hw_templates.conv_engine.space import AcceleratorSpace

BASELINES = (random_front, sequential_front)


@pytest.fixture
def batches(monkeypatch):
    """Every batch that a baseline prices: (genes, accelerators, priced pairs)."""
    seen, priced_by = [], baselines.price_pairs

    def price_pairs(pricer, oracle, genes, accelerators):
        seen.append((genes, accelerators, priced_by(pricer, oracle, genes, accelerators)))
        return seen[-1][2]

    monkeypatch.setattr(baselines, "price_pairs", price_pairs)
    return seen


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("method", BASELINES)
def test_a_baseline_returns_the_feasible_front_of_all_it_priced(pricer, oracle, plan, batches, method, seed):
    front = method(pricer, oracle, 2000, seed, plan)
    priced = concatenate([pairs for _, _, pairs in batches])
    assert 2000 <= pricer.pairs == sum(len(genes) * len(accelerators) for genes, accelerators, _ in batches)
    assert pricer.pairs < 2000 + plan.new_accelerators * plan.subnets_per_new_accelerator
    wanted = priced.values[nondominated(priced.values)]
    assert sorted(map(tuple, front.values)) == sorted(map(tuple, wanted))
    assert (pricer.excess(pricer.joint.designs(front.rows)) <= 0).all()


@pytest.mark.parametrize("method", BASELINES)
def test_a_baseline_repeats_for_its_seed(pricer, oracle, plan, method):
    one, same, other = (method(pricer, oracle, 1000, seed, plan).values for seed in (0, 0, 1))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_random_pairs_are_drawn_anew_for_each_batch_of_accelerators(pricer, oracle, plan, batches):
    random_front(pricer, oracle, 2000, 0, plan)
    # A round of 8 new accelerators and three of 8 old ones have 16 subnets each: 64 pairs for each new accelerator.
    assert {(len(genes), len(accelerators)) for genes, accelerators, _ in batches} == {(64, 8)}
    drawn = np.concatenate([accelerators for _, accelerators, _ in batches])
    assert len(np.unique(drawn, axis=0)) == len(drawn) == 8 * len(batches) >= 32
    assert not np.array_equal(batches[0][0], batches[1][0])


def test_sequential_search_fixes_the_accelerator_first_and_the_networks_then(pricer, oracle, plan, batches):
    sequential_front(pricer, oracle, 4000, 0, plan)
    space = pricer.joint.accelerators
    fixed = space.encode(AcceleratorColumns.of([reference_accelerator(space)]))
    count = sum(np.array_equal(accelerators, fixed) for _, accelerators, _ in batches)
    first, second = batches[:count], batches[count:]
    spent = sum(len(genes) for genes, _, _ in first)
    assert all(np.array_equal(accelerators, fixed) for _, accelerators, _ in first)
    half = 4000 * SEQUENTIAL_NETWORK_SHARE
    assert half <= spent < half + plan.subnets * plan.accelerators
    # From then on nothing but accelerators for the one set of networks, all of the front of the first half.
    front = concatenate([priced for _, _, priced in first]).front()
    found = {row.tobytes() for row in front.rows[:, : pricer.joint.gene_count]}
    assert len(second) > 1
    for genes, accelerators, _ in second:
        assert np.array_equal(genes, second[0][0])
        assert not (accelerators == fixed).all(axis=1).any()
    assert {row.tobytes() for row in second[0][0]} <= found
    assert min(len(found), 2) <= len(second[0][0]) <= plan.subnets_per_new_accelerator


def mean_volume(method, joint, oracle, pairs, plan):
    """Of four seeds."""
    reference = reference_point(PairPricer(joint, load_coefficients()), oracle)
    fronts = (method(PairPricer(joint, load_coefficients()), oracle, pairs, seed, *plan) for seed in range(4))
    return np.mean([reference.hypervolume(front.values) for front in fronts])


def test_joint_search_beats_random_pairs_and_keeps_up_with_sequential_search_in_a_tiny_space(joint, oracle, plan):
    # Over many seeds, joint and sequential search are level there.
    volumes = {method: mean_volume(method, joint, oracle, 4000, (plan,)) for method in (evolve, *BASELINES)}
    assert volumes[evolve] > volumes[random_front]
    assert volumes[evolve] > 0.99 * volumes[sequential_front]


def test_joint_search_beats_the_baselines(joint):
    digits, oracle = JointSpace(DIGITS, joint.accelerators), CapacityAccuracy(DIGITS)
    joint_volume, *others = (mean_volume(method, digits, oracle, 20_000, ()) for method in (evolve, *BASELINES))
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
