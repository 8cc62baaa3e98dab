import numpy as np
import pytest

from codesign.search.joint_space import JointSpace
from codesign.search.pareto import concatenate, no_pairs, nondominated
from codesign.search.problem import RoundKey
from codesign.supernet.lowering.workloads import lower
from codesign.templates.engine import evolution
from codesign.templates.engine.evolution import (
    SEQUENTIAL_NETWORK_SHARE,
    EngineEvolution,
    price_pairs,
    random_front,
    reference_accelerator,
    sequential_front,
)
from codesign.templates.engine.pricing import PairPricer
from codesign.templates.engine.specialise import best_subnet_within
from cost_models.coefficients import load_coefficients
from cost_models.resources import check_fits
from hw_templates.board import board_names, load_board
from hw_templates.conv_engine.accelerator import AcceleratorColumns
from hw_templates.conv_engine.space import AcceleratorSpace

BASELINES = (random_front, sequential_front)


def test_a_round_keeps_exactly_the_best_of_old_and_new(pricer, oracle, archive, plan):
    after = EngineEvolution(pricer, oracle, plan).run_round(archive, RoundKey(0, 0, 1)).archive
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
        EngineEvolution(pricer, oracle, plan).run_round(archive, RoundKey(0, worker, 3)).archive for worker in (0, 0, 1)
    )
    assert np.array_equal(one.rows, same.rows)
    assert not np.array_equal(one.rows, other.rows)


def rounds(pricer, oracle, pairs, seed, plan):
    """What rounds of the joint search find."""
    found = no_pairs(pricer.joint)
    for number in range(pairs):
        if pricer.pairs >= pairs:
            break
        found = EngineEvolution(pricer, oracle, plan).run_round(found, RoundKey(seed, 0, number)).archive
    return found


@pytest.mark.parametrize("search", [rounds, random_front, sequential_front])
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


@pytest.fixture
def batches(monkeypatch):
    """Every batch that a baseline prices: (genes, accelerators, priced pairs)."""
    seen, priced_by = [], evolution.price_pairs

    def price_pairs(pricer, oracle, genes, accelerators):
        seen.append((genes, accelerators, priced_by(pricer, oracle, genes, accelerators)))
        return seen[-1][2]

    monkeypatch.setattr(evolution, "price_pairs", price_pairs)
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


@pytest.mark.parametrize("board", board_names())
def test_the_reference_accelerator_fits_every_board(board):
    space = AcceleratorSpace(load_board(board))
    check_fits(reference_accelerator(space), space.board)
