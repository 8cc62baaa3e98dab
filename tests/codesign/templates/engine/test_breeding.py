from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chisquare
from support.pricing.accelerator_grid import fitting_points

from codesign.search.joint_space import JointSpace
from codesign.search.pareto import PricedPairs, no_pairs
from codesign.templates.engine.breeding import (
    RoundPlan,
    breed_accelerators,
    breed_subnets,
    draw_fitting,
    promising_accelerators,
    veteran_accelerators,
)
from codesign.templates.engine.pricing import PairPricer
from cost_models.resources import check_fits
from hw_templates.conv_engine.accelerator import is_legal
from hw_templates.conv_engine.space import AcceleratorSpace
from hw_templates.foundation.errors import InfeasibleError, InvalidValueError


def test_bred_subnets_are_different_and_canonical(pricer, archive, plan):
    space = pricer.joint.space
    genes = breed_subnets(pricer, archive, np.random.default_rng(0), plan, 60)
    space.check_genes(genes)
    assert len(np.unique(genes, axis=0)) == len(genes) > 30
    assert np.array_equal(space.canonical(genes), genes)


def test_the_first_batch_holds_both_ends_of_the_space(pricer, plan):
    space = pricer.joint.space
    genes = breed_subnets(pricer, no_pairs(pricer.joint), np.random.default_rng(0), plan, 20)
    assert space.smallest() in [space.decode(row) for row in genes]
    assert space.largest() in [space.decode(row) for row in genes]


def test_bred_accelerators_are_legal_fit_and_are_new(pricer, archive, plan):
    joint = pricer.joint
    fitting, misfits = breed_accelerators(pricer, archive, np.random.default_rng(0), plan, plan.new_accelerators)
    known = {row.tobytes() for row in archive.rows[:, joint.gene_count :]}
    assert 0 < len(fitting) <= plan.new_accelerators
    assert not known & {row.tobytes() for row in fitting}
    for accelerator in joint.accelerators.decode(fitting):
        check_fits(accelerator, joint.accelerators.board)
    assert is_legal(joint.accelerators.decode(misfits)).all()
    assert (pricer.excess(joint.accelerators.decode(misfits)).max(axis=1) > 0).all()


def test_a_board_too_small_names_what_binds(joint, pricer, oracle):
    board = replace(joint.accelerators.board, dsp=10)
    small = PairPricer(JointSpace(joint.space, AcceleratorSpace(board)), pricer.coefficients)
    with pytest.raises(
        InfeasibleError, match=r"no accelerator found that fits pynq-z2: the nearest needs \d+ dsp of 10"
    ):
        draw_fitting(small, np.random.default_rng(0), 4)


@pytest.mark.parametrize(
    "change",
    [{"subnets": 0}, {"new_period": 0}, {"first_accelerators": 0}, {"immigrants": 1.5}, {"mutation_rate": -0.1}],
)
def test_bad_plans_are_named(change, plan):
    with pytest.raises(InvalidValueError, match=f"round_plan.{next(iter(change))}"):
        replace(plan, **change)


def test_a_search_of_few_pairs_starts_from_fewer_accelerators():
    first = [RoundPlan.of_budget(pairs).first_accelerators for pairs in (1, 20_000, 50_000, 200_000)]
    assert first == [RoundPlan().new_accelerators, RoundPlan().new_accelerators, 50, RoundPlan().first_accelerators]


def pairs_of(pricer, genes, seed=0):
    """Pairs of these subnets with random accelerators that fit; their values are all alike."""
    accelerators = draw_fitting(pricer, np.random.default_rng(seed), len(genes))
    return PricedPairs(np.concatenate([genes, accelerators], axis=1), np.ones((len(genes), 3)))


def test_children_have_the_genes_of_their_parents(pricer, plan):
    space = pricer.joint.space
    largest = space.encode(space.largest())
    least_blocks = np.where([name.endswith(("kernel", "expand")) for name, _ in space.genes], 0, largest)
    archive = pairs_of(pricer, np.stack([largest, least_blocks]))
    unchanged = replace(plan, mutation_rate=0.0, immigrants=0.0)
    # One immigrant comes first, whatever the share.
    children = breed_subnets(pricer, archive, np.random.default_rng(0), unchanged, 60)[1:]
    assert ((children == largest) | (children == least_blocks)).all()
    mixed = (children != largest).any(axis=1) & (children != least_blocks).any(axis=1)
    assert mixed.sum() > 10
    assert (~mixed).sum() == 2


def test_mutation_changes_each_gene_with_its_chance(pricer, plan):
    joint = pricer.joint
    largest = joint.space.encode(joint.space.largest())
    archive = pairs_of(pricer, largest[None])
    changed = {}
    for rate in (0.0, 0.02, 1.0):
        mutating = replace(plan, mutation_rate=rate, immigrants=0.0)
        children = breed_subnets(pricer, archive, np.random.default_rng(1), mutating, 300)[1:]
        present = np.all([*joint.space.present(children).values()], axis=0)
        changed[rate] = (children != largest)[present].mean()
    assert changed[0.0] == 0 < changed[0.02] < 0.35 < changed[1.0]


def test_the_best_of_each_objective_breed_more_often(pricer, plan):
    space = pricer.joint.space
    rng = np.random.default_rng(2)
    genes = space.sample_genes(rng, 400)
    column = space.columns["stage1.block1.kernel"]
    genes[:, column] = 0
    for objective in range(3):
        values = rng.uniform(0.4, 0.6, (400, 3))
        values[:8, objective] = 0.9 if objective == 0 else 0.1
        marked = genes.copy()
        marked[:8, column] = 2
        archive = PricedPairs(pairs_of(pricer, marked).rows, values)
        still = replace(plan, mutation_rate=0.0, immigrants=0.0)
        children = breed_subnets(pricer, archive, rng, still, 300)
        # 8 of 400 pairs are 2 in 100.
        assert (children[:, column] == 2).mean() > 0.06


def test_veterans_are_different_accelerators_of_the_archive(pricer, plan):
    space = pricer.joint.space
    twelve = pairs_of(pricer, space.sample_genes(np.random.default_rng(4), 12))
    archive = twelve.take(np.arange(24) % 12)
    known = {row.tobytes() for row in archive.rows[:, pricer.joint.gene_count :]}
    seen = {}
    for count in (2, 8, 20):
        for seed in range(4):
            some = replace(plan, accelerators=count)
            chosen = veteran_accelerators(pricer, archive, np.random.default_rng(seed), some)
            rows = {row.tobytes() for row in chosen}
            assert rows <= known
            assert len(rows) == len(chosen) == min(12, count)
            seen.setdefault(count, set()).add(frozenset(rows))
    assert len(seen[2]) > 1


def test_children_that_are_known_are_not_bred_again(pricer, plan):
    space = pricer.joint.space
    archive = pairs_of(pricer, space.encode(space.largest())[None])
    unchanged = replace(plan, mutation_rate=0.0, immigrants=0.0)
    fitting, misfits = breed_accelerators(pricer, archive, np.random.default_rng(0), unchanged, plan.new_accelerators)
    assert (len(fitting), len(misfits)) == (0, 0)


def test_promising_accelerators_do_better_than_what_they_were_chosen_from(pricer, oracle, archive, plan):
    plan = replace(plan, screened=6)
    genes = archive.rows[:, : pricer.joint.gene_count]

    def best_latencies(accelerators):
        return pricer.price(genes, accelerators)[0].min(axis=0)

    for found, wanted in ((archive, plan.new_accelerators), (no_pairs(pricer.joint), plan.first_accelerators)):
        promising, plain = [], []
        for seed in range(5):
            chosen, _ = promising_accelerators(pricer, found, np.random.default_rng(seed), plan)
            assert len(chosen) == wanted
            columns = pricer.joint.accelerators.decode(chosen)
            assert is_legal(columns).all()
            assert (pricer.excess(columns) <= 0).all()
            promising.append(np.median(best_latencies(chosen)))
            bred, _ = breed_accelerators(pricer, found, np.random.default_rng(seed), plan, wanted)
            plain.append(np.median(best_latencies(bred)))
        assert np.mean(promising) < np.mean(plain)


def test_without_screening_accelerators_are_just_bred(pricer, archive, plan):
    assert plan.screened == 1
    chosen = promising_accelerators(pricer, archive, np.random.default_rng(3), plan)
    bred = breed_accelerators(pricer, archive, np.random.default_rng(3), plan, plan.new_accelerators)
    assert all(np.array_equal(one, other) for one, other in zip(chosen, bred, strict=True))


def test_from_nothing_the_first_accelerators_are_drawn(pricer, plan):
    fitting, misfits = breed_accelerators(
        pricer, no_pairs(pricer.joint), np.random.default_rng(0), plan, plan.first_accelerators
    )
    assert len(fitting) == plan.first_accelerators
    assert len(misfits) == 0


def test_accelerators_are_drawn_uniformly_from_those_that_fit(pricer):
    """In a part of the space that can be counted through: two products a DSP and narrow ports at one clock."""
    space = pricer.joint.accelerators
    fixed = {"pack": 2, "axi_bits": 32, "clock_mhz": space.board.clocks_mhz[1]}
    possible = np.concatenate([columns.pe_pixels for columns in fitting_points(space.board, fixed)])
    drawn = space.decode(draw_fitting(pricer, np.random.default_rng(5), 6000))
    here = drawn.take(np.all([getattr(drawn, name) == value for name, value in fixed.items()], axis=0))
    choices, counts = np.unique(possible, return_counts=True)
    found = np.array([(here.pe_pixels == choice).sum() for choice in choices])
    assert found.sum() == len(here) > 500
    assert chisquare(found, counts * len(here) / len(possible)).pvalue > 1e-3


def test_pairs_for_each_new_accelerator_by_hand():
    # 10 subnets with 4 new accelerators, then twice with 3 old ones: 100 pairs, 25 for each of the 4.
    assert RoundPlan(subnets=10, accelerators=3, new_accelerators=4, new_period=3).subnets_per_new_accelerator == 25
    # Rounded up: 110 pairs for 4.
    assert RoundPlan(subnets=11, accelerators=3, new_accelerators=4, new_period=3).subnets_per_new_accelerator == 28
