import numpy as np
import pytest

from codesign.search.pareto import PricedPairs
from codesign.templates.engine.breeding import EVERYTHING, Limits, draw_fitting
from codesign.templates.engine.evolution import price_pairs
from codesign.templates.engine.proposals import Proposer, TriedPairs


def tried_pairs(joint, rows, running=()):
    running = np.array(running, dtype=np.int64).reshape(-1, len(joint.parameters))
    every = [*rows, *running]
    subnets = frozenset(row[: joint.gene_count].tobytes() for row in every)
    return TriedPairs(frozenset(row.tobytes() for row in every), subnets, running)


@pytest.fixture
def found(pricer, oracle):
    """Trials of 30 random pairs."""
    rng = np.random.default_rng(7)
    priced = price_pairs(pricer, oracle, pricer.joint.space.sample_genes(rng, 60), draw_fitting(pricer, rng, 60))
    return priced.take(rng.permutation(len(priced))[:30])


def proposed(pricer, found, tried, limits=EVERYTHING):
    return np.array(Proposer(pricer, limits).propose(found, tried, 7, 3))


def test_a_running_pair_counts_as_if_it_had_come_to_what_is_predicted(pricer, found):
    joint = pricer.joint
    alone = proposed(pricer, found, tried_pairs(joint, found.rows))
    assert len(alone) == 4
    # A batch is chosen greedily, so once its first pair runs the best that is left is its second.
    beside = proposed(pricer, found, tried_pairs(joint, found.rows, alone[:1]))
    assert np.array_equal(beside[0], alone[1])
    assert not (beside == alone[0]).all(axis=1).any()


def test_running_pairs_that_cannot_be_priced_are_passed_over(pricer, found):
    joint = pricer.joint
    illegal = found.rows[0].copy()
    names = [name for name, _ in joint.parameters]
    illegal[names.index("pe_rows")], illegal[names.index("axi_bits")] = 0, 1
    assert not pricer.fits(illegal[None])[0]
    alone = proposed(pricer, found, tried_pairs(joint, found.rows))
    assert np.array_equal(proposed(pricer, found, tried_pairs(joint, found.rows, [illegal])), alone)


def test_where_few_subnets_are_open_their_accelerators_are_evolved(pricer, oracle):
    joint = pricer.joint
    largest = joint.space.encode(joint.space.largest())
    fixed = {name: choices[index] for (name, choices), index in zip(joint.space.genes, largest, strict=True)}
    limits = Limits.of(joint, {}, fixed)
    rng = np.random.default_rng(8)
    first = price_pairs(pricer, oracle, largest[None], draw_fitting(pricer, rng, 1))
    found = first
    for _ in range(3):
        rows = proposed(pricer, found, tried_pairs(joint, found.rows), limits)
        assert (rows[:, : joint.gene_count] == largest).all()
        genes, accelerators = np.split(rows, [joint.gene_count], axis=1)
        costs = np.array([price_pairs(pricer, oracle, genes[:1], row[None]).values[0] for row in accelerators])
        found = PricedPairs(np.concatenate([found.rows, rows]), np.concatenate([found.values, costs]))
    drawn = price_pairs(pricer, oracle, largest[None], draw_fitting(pricer, rng, len(found)))
    assert found.latency_ms.min() < drawn.latency_ms.min()
    assert found.energy_mj.min() < drawn.energy_mj.min()
