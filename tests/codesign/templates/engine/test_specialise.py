import itertools

import numpy as np
import pytest

from codesign.templates.engine.evolution import reference_accelerator
from codesign.templates.engine.specialise import best_subnet_within
from hw_templates.conv_engine.accelerator import AcceleratorColumns
from hw_templates.foundation.errors import InfeasibleError, InvalidValueError


@pytest.fixture(scope="module")
def accelerator(joint):
    space = joint.accelerators
    return space.encode(AcceleratorColumns.of([reference_accelerator(space)]))[0]


@pytest.fixture
def every_subnet(joint):
    ranges = [range(len(choices)) for _, choices in joint.space.genes]
    rows = np.array(list(itertools.product(*ranges)))
    return np.unique(joint.space.canonical(rows), axis=0)


@pytest.mark.parametrize("share", [0.2, 0.5, 1.0])
def test_it_finds_the_best_of_all_subnets(joint, pricer, oracle, accelerator, every_subnet, share):
    latency_ms = pricer.price(every_subnet, accelerator[None])[0][:, 0]
    limit_ms = float(np.quantile(latency_ms, share))
    found = best_subnet_within(pricer, oracle, accelerator, limit_ms, 4000)
    within = latency_ms <= limit_ms
    assert found.latency_ms <= limit_ms
    assert found.accuracy == pytest.approx(oracle.accuracy(every_subnet[within]).max())
    assert found.accuracy == pytest.approx(oracle.accuracy(found.genes[None])[0])
    assert found.latency_ms == pytest.approx(pricer.price(found.genes[None], accelerator[None])[0][0, 0])


def test_equal_seeds_find_equal_subnets(joint, pricer, oracle, accelerator):
    first, again = (best_subnet_within(pricer, oracle, accelerator, 1.0, 500, seed=3) for _ in range(2))
    assert np.array_equal(first.genes, again.genes)
    assert first.candidates == again.candidates


def test_a_limit_that_no_subnet_meets_names_the_least_latency(joint, pricer, oracle, accelerator):
    with pytest.raises(InfeasibleError, match=r"no subnet of tiny within 0\.001 ms .* the least seen takes 0\.\d+ ms"):
        best_subnet_within(pricer, oracle, accelerator, 0.001, 500)


@pytest.mark.parametrize(("limit_ms", "candidates", "field"), [(0, 5, "max_latency_ms"), (1, 0, "candidates")])
def test_wrong_requests_are_refused(joint, pricer, oracle, accelerator, limit_ms, candidates, field):
    with pytest.raises(InvalidValueError, match=field):
        best_subnet_within(pricer, oracle, accelerator, limit_ms, candidates)
