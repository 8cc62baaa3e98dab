"""Specialising for hardware that exists: the best subnet within a latency limit on one accelerator.

The evolution of Cai et al. 2020 (section 3.3, "Once-for-All"): the most accurate part of the population are parents,
children are mutated or crossed, and only those within the limit are kept. Here a generation is one array.
"""

from dataclasses import dataclass

import numpy as np

from codesign.search.evolution import breed, first_of_equal_rows
from codesign.supernet.accuracy.oracle import AccuracyOracle, checked_accuracy
from codesign.supernet.spaces.space import Genes
from codesign.templates.engine.pricing import PairPricer
from hw_templates.foundation.arrays import FloatArray, IntArray
from hw_templates.foundation.errors import InfeasibleError, InvalidValueError

_PARENTS = 512
_CHILDREN = 4096
_MUTATION_RATE = 0.1
_DRAWS = 64


@dataclass(frozen=True)
class SpecialisedSubnet:
    """Result of the search for one subnet.

    Attributes:
        genes: [G] of the subnet.
        accuracy: in 0..1, by the oracle asked.
        latency_ms: of one inference.
        candidates: how many different subnets within the limit were judged for it.
    """

    genes: Genes
    accuracy: float
    latency_ms: float
    candidates: int


def best_subnet_within(
    pricer: PairPricer,
    oracle: AccuracyOracle,
    accelerator: IntArray,
    max_latency_ms: float,
    candidates: int,
    seed: int = 0,
) -> SpecialisedSubnet:
    """Return the most accurate subnet found within a latency limit on one accelerator.

    Args:
        pricer, oracle: latencies and accuracies.
        accelerator: [P] choice indices of a legal accelerator of the joint space.
        max_latency_ms: the limit.
        candidates: how many subnets within the limit to judge at least; the smallest space may hold fewer.
        seed: every draw follows from it.

    Raises:
        InvalidValueError: the limit or the number is not positive.
        InfeasibleError: no subnet was found within the limit; names the least latency seen.
    """
    if not max_latency_ms > 0:
        raise InvalidValueError("max_latency_ms", max_latency_ms, "positive")
    if candidates < 1:
        raise InvalidValueError("candidates", candidates, "at least 1")
    space, rng = pricer.joint.space, np.random.default_rng(seed)
    # Subnets within the limit, the accuracy and the latency that each reaches; the best come first.
    population = np.zeros((0, pricer.joint.gene_count), dtype=np.int64)
    reached: FloatArray = np.zeros((0, 2))
    judged, nearest_ms = 0, np.inf
    draws, generations = _DRAWS, max(1, 4 * candidates // _CHILDREN)
    genes = space.encode(space.smallest())[None]
    while True:
        genes = genes[first_of_equal_rows(genes)]
        latency_ms = pricer.price(genes, accelerator[None])[0][:, 0]
        nearest_ms = min(nearest_ms, float(latency_ms.min()))
        within = latency_ms <= max_latency_ms
        accuracy = checked_accuracy(oracle, genes[within])
        judged += len(accuracy)
        population = np.concatenate([population, genes[within]])
        reached = np.concatenate([reached, np.stack([accuracy, latency_ms[within]], axis=1)])
        best = np.argsort(-reached[:, 0], kind="stable")[: 2 * _PARENTS]
        best = best[first_of_equal_rows(population[best])][:_PARENTS]
        population, reached = population[best], reached[best]
        if judged < candidates and draws and len(population) < _PARENTS // 2:
            draws -= 1
            genes = space.sample_genes(rng, _CHILDREN)
        elif not len(population):
            raise InfeasibleError(
                f"latency_ms: no subnet of {space.name} within {max_latency_ms:g} ms on this accelerator; "
                f"the least seen takes {nearest_ms:.4g} ms"
            )
        elif judged < candidates and generations:
            generations -= 1
            parents = population[rng.integers(len(population), size=2 * _CHILDREN)]
            genes = space.canonical(breed(parents, space.gene_sizes, rng, _MUTATION_RATE))
        else:
            return SpecialisedSubnet(population[0], float(reached[0, 0]), float(reached[0, 1]), judged)
