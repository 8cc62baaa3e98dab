import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from codesign.search.pareto import no_pairs
from codesign.search.problem import RoundKey
from codesign.templates.engine.breeding import (
    EVERYTHING,
    Limits,
    allows,
    breed_accelerators,
    breed_subnets,
    draw_fitting,
    moved,
    promising_accelerators,
)
from codesign.templates.engine.evolution import EngineEvolution
from hw_templates.foundation.errors import InfeasibleError, InvalidValueError

FIXED = {"stage1.block1.kernel": 5, "stage2.depth": 2, "pe_rows": 12, "pack": 1}


def values(joint, rows, name):
    column = [each for each, _ in joint.parameters].index(name)
    choices = np.array(joint.parameters[column][1])
    return set(choices[rows[:, column]].tolist())


def test_the_whole_search_space_narrows_nothing(joint, pricer):
    assert Limits.of(joint, joint.distributions, {}) == Limits.of(joint, {}, {}) == EVERYTHING
    rows = joint.space.sample_genes(np.random.default_rng(0), 20)
    assert np.array_equal(moved(rows, EVERYTHING.genes, np.random.default_rng(0)), rows)


def test_rows_are_moved_to_open_choices_alone(joint):
    narrowed = {"stage1.block1.kernel": IntDistribution(5, 7, step=2)}
    limits = Limits.of(joint, narrowed, {"stage2.depth": 2})
    genes = joint.space.sample_genes(np.random.default_rng(0), 300)
    found = moved(genes, limits.genes, np.random.default_rng(1))
    kernel, depth = (joint.space.columns[name] for name in ("stage1.block1.kernel", "stage2.depth"))
    assert set(found[:, kernel]) == {1, 2}
    assert set(found[:, depth]) == {1}
    # What was open stays as it was, and so do other genes.
    assert (found[:, kernel] == genes[:, kernel])[genes[:, kernel] > 0].all()
    others = [column for column in range(genes.shape[1]) if column not in (kernel, depth)]
    assert np.array_equal(found[:, others], genes[:, others])


def test_choices_of_absent_blocks_do_not_count(joint):
    limits = Limits.of(joint, {}, {"stage1.block2.kernel": 7})
    genes = joint.space.sample_genes(np.random.default_rng(0), 100)
    rows = np.concatenate([genes, np.zeros((100, len(joint.accelerators.genes)), dtype=np.int64)], axis=1)
    column = joint.space.columns["stage1.block2.kernel"]
    absent, open_ = ~joint.present(rows)[:, column], rows[:, column] == 2
    assert absent.any()
    assert open_.any()
    assert np.array_equal(limits.hold(joint, rows), absent | open_)


def test_what_is_bred_and_drawn_is_within(joint, pricer, oracle, plan):
    limits, rng = Limits.of(joint, {}, FIXED), np.random.default_rng(2)
    archive = no_pairs(pricer.joint)
    for number in range(3):
        archive = EngineEvolution(pricer, oracle, plan, limits).run_round(archive, RoundKey(0, 0, 4 * number)).archive
        assert limits.hold(joint, archive.rows).all()
    assert all(values(joint, archive.rows, name) == {value} for name, value in FIXED.items())
    accelerators = [
        draw_fitting(pricer, rng, 20, limits),
        *breed_accelerators(pricer, archive, rng, plan, plan.new_accelerators, limits),
        *promising_accelerators(pricer, archive, rng, plan, limits),
    ]
    for rows in accelerators:
        pairs = np.concatenate([np.repeat(archive.rows[:1, : joint.gene_count], len(rows), axis=0), rows], axis=1)
        assert limits.hold(joint, pairs).all()
    genes = breed_subnets(pricer, archive, rng, plan, 30, limits)
    assert np.array_equal(joint.space.canonical(genes), genes)
    assert (genes[:, joint.space.columns["stage1.block1.kernel"]] == 1).all()


def test_a_round_goes_on_where_every_accelerator_is_known(joint, pricer, oracle, plan, archive):
    accelerator = joint.designs(archive.rows[:1])[0]
    fixed = {name: getattr(accelerator, name) for name, _ in joint.accelerators.genes}
    limits = Limits.of(joint, {}, fixed)
    found = no_pairs(pricer.joint)
    for number in range(4):
        found = EngineEvolution(pricer, oracle, plan, limits).run_round(found, RoundKey(0, 0, 4 * number)).archive
    assert len(found) > 1
    assert {joint.designs(row[None])[0] for row in found.rows} == {accelerator}


def test_limits_that_nothing_fits_are_named(joint, pricer):
    limits = Limits.of(joint, {}, {"pe_rows": 12, "axi_bits": 64, "pack": 1})
    with pytest.raises(InfeasibleError, match="with pe_rows 12, pack 1, axi_bits 64: none is legal"):
        draw_fitting(pricer, np.random.default_rng(0), 4, limits)


def test_a_value_that_is_no_choice_is_named(joint):
    with pytest.raises(InvalidValueError, match=r"params\.pe_rows: must be one of \(4, 8, .*got 5"):
        Limits.of(joint, {}, {"pe_rows": 5})


@pytest.mark.parametrize(
    ("distribution", "value", "answer"),
    [
        (IntDistribution(3, 7, step=2), 5, True),
        (IntDistribution(3, 7, step=2), 4, False),
        (IntDistribution(3, 7), "five", False),
        (CategoricalDistribution((4, 8)), 8, True),
        (CategoricalDistribution((4, 8)), 12, False),
        (FloatDistribution(0, 1), 2, False),
    ],
)
def test_whether_a_distribution_allows_a_value(distribution, value, answer):
    assert allows(distribution, value) == answer
