import numpy as np
import pytest
import torch

from codesign.templates.engine import exact_front as exhaustive
from codesign.templates.engine.evolution import price_pairs
from codesign.templates.engine.exact_front import exact_front


@pytest.fixture
def pairs(pricer, rng):
    """Subnets, and accelerators."""
    space = pricer.joint.accelerators
    return pricer.joint.space.sample_genes(rng, 90), space.encode(space.sample(rng, 40))


@pytest.fixture
def rng():
    return np.random.default_rng(7)


class Steps:
    """Few different accuracies, so that ties decide."""

    def accuracy(self, genes):
        return genes.sum(axis=1) // 4 / 10


@pytest.mark.parametrize("block_pairs", [1, 500, 1 << 25])
@pytest.mark.parametrize("ties", [False, True])
def test_it_is_the_front_of_all_pairs_priced_one_by_one(monkeypatch, pricer, oracle, pairs, block_pairs, ties):
    monkeypatch.setattr(exhaustive, "_BLOCK_PAIRS", block_pairs)
    judge = Steps() if ties else oracle
    every = price_pairs(pricer, judge, *pairs)
    before = pricer.pairs
    front = exact_front(pricer, judge, *pairs)
    assert pricer.pairs - before == len(pairs[0]) * len(pairs[1])
    expected = every.front()
    assert 2 < len(front) < len(every)
    assert np.array_equal(front.values, expected.values)
    for row, values in zip(front.rows, front.values, strict=True):
        alone = price_pairs(pricer, judge, *np.split(row[None], [pairs[0].shape[1]], axis=1))
        assert np.array_equal(alone.values, values[None])


def test_pairs_that_cannot_be_mapped_are_not_on_it(monkeypatch, pricer, oracle, pairs):
    table = pricer.segment_table
    monkeypatch.setattr(
        pricer,
        "segment_table",
        lambda *of: (table(*of)[0], np.where(np.arange(len(of[1])) == 0, table(*of)[1], np.inf)),
    )
    front = exact_front(pricer, oracle, *pairs)
    assert (front.rows[:, pairs[0].shape[1] :] == pairs[1][0]).all()
    assert np.isfinite(front.values).all()


@pytest.mark.parametrize("empty", [0, 1])
def test_no_subnets_or_no_accelerators_have_an_empty_front(pricer, oracle, pairs, empty):
    some = [part[:0] if number == empty else part for number, part in enumerate(pairs)]
    assert len(exact_front(pricer, oracle, *some)) == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that torch can use")
def test_a_gpu_finds_the_same_front(pricer, oracle, pairs):
    on_cpu, on_gpu = (exact_front(pricer, oracle, *pairs, device=device) for device in ("cpu", "cuda"))
    assert np.array_equal(on_gpu.rows, on_cpu.rows)
    assert np.allclose(on_gpu.values, on_cpu.values, rtol=1e-12, atol=0)
