import numpy as np
import pytest

from codesign.supernet.lowering.workloads import lower
from codesign.templates.engine.breeding import draw_fitting
from codesign.templates.engine.pricing import PairPricer
from cost_models.closed_form.estimate import price
from cost_models.resources import RESOURCES, check_fits, estimate_resources
from hw_templates.foundation.errors import MappingError, ResourceError


def test_prices_are_those_of_each_network_on_its_own(pricer):
    joint = pricer.joint
    rng = np.random.default_rng(0)
    accelerators = joint.accelerators.encode(joint.accelerators.sample(rng, 9))
    genes = joint.space.sample_genes(rng, 5)
    latency_ms, energy_mj = pricer.price(genes, accelerators)
    assert latency_ms.shape == energy_mj.shape == (5, 9)
    mapped = 0
    for n, row in enumerate(genes):
        workload = lower(joint.space, joint.space.decode(row))
        for a, accelerator in enumerate(joint.accelerators.decode(accelerators)):
            try:
                alone = price(workload, accelerator, joint.accelerators.board, pricer.coefficients)
            except MappingError:
                assert latency_ms[n, a] == energy_mj[n, a] == np.inf
                continue
            mapped += 1
            assert latency_ms[n, a] == pytest.approx(alone.latency_ms, rel=1e-12)
            assert energy_mj[n, a] == pytest.approx(alone.energy_mj, rel=1e-12)
    assert mapped >= 15


def test_counters_and_cache(pricer):
    joint = pricer.joint
    rng = np.random.default_rng(1)
    accelerators = joint.accelerators.encode(joint.accelerators.sample(rng, 3))
    genes = joint.space.sample_genes(rng, 7)
    first = pricer.price(genes, accelerators)
    assert pricer.pairs == 21
    candidates = pricer.candidates
    assert candidates > 0
    again = pricer.price(genes, accelerators[::-1])
    assert pricer.pairs == 42
    assert pricer.candidates == candidates
    assert pricer.accelerators == 3
    assert np.array_equal(first[0], again[0][:, ::-1])


def test_layers_are_priced_when_a_subnet_has_them(joint, pricer):
    rng = np.random.default_rng(5)
    accelerators = joint.accelerators.encode(joint.accelerators.sample(rng, 4))
    genes = joint.space.sample_genes(rng, 12)
    together = pricer.price(genes, accelerators)
    one_by_one = PairPricer(joint, pricer.coefficients)
    candidates = [0]
    for index, row in enumerate(genes):
        few = rng.permutation(4)[:3]
        latency_ms, energy_mj = one_by_one.price(row[None], accelerators[few])
        assert np.array_equal(latency_ms[0], together[0][index, few])
        assert np.array_equal(energy_mj[0], together[1][index, few])
        candidates.append(one_by_one.candidates)
    assert candidates[1] < candidates[-1]
    one_by_one.price(genes, accelerators)
    # Blocks priced together share runs of layers; layers are never priced again.
    assert one_by_one.candidates >= pricer.candidates
    again = one_by_one.candidates
    one_by_one.price(genes[::-1], accelerators)
    assert one_by_one.candidates == again


def test_drawn_accelerators_fit_and_the_rest_does_not(pricer, problem):
    joint = pricer.joint
    board = joint.accelerators.board
    for accelerator in joint.accelerators.decode(draw_fitting(pricer, np.random.default_rng(2), 20)):
        check_fits(accelerator, board)
    columns = joint.accelerators.sample(np.random.default_rng(3), 40)
    subnet = joint.space.encode(joint.space.smallest())
    rows = np.concatenate([np.tile(subnet, (40, 1)), joint.accelerators.encode(columns)], axis=1)
    resources, excess = problem.needs(rows), pricer.excess(columns)
    for index, accelerator in enumerate(columns):
        needs = estimate_resources(accelerator, board)
        assert resources[index].tolist() == [getattr(needs, name) for name in RESOURCES]
        if (excess[index] <= 0).all():
            check_fits(accelerator, board)
        else:
            with pytest.raises(ResourceError):
                check_fits(accelerator, board)
