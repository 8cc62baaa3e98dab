"""Specialising for hardware that exists: the best subnet within a latency limit on one accelerator.

The evolution of Cai et al. 2020 (section 3.3, "Once-for-All"): the most accurate part of the population are parents,
children are mutated or crossed, and only those within the limit are kept. Here a generation is one array.
"""

from dataclasses import dataclass

import numpy as np

from codesign.search.genetics import breed, first_of_equal_rows
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


class _Population:
    """Subnets within the limit and their accuracies; the best come first."""

    def __init__(self, pricer: PairPricer, oracle: AccuracyOracle, accelerator: IntArray, limit_ms: float) -> None:
        self._pricer, self._oracle, self._accelerator, self._limit_ms = pricer, oracle, accelerator, limit_ms
        self.genes = np.zeros((0, pricer.joint.gene_count), dtype=np.int64)
        self.accuracy: FloatArray = np.zeros(0)
        self.latency_ms: FloatArray = np.zeros(0)
        self.candidates = 0
        self.nearest_ms = np.inf

    def add(self, genes: Genes) -> None:
        """Judge those within the limit and keep the best of all as parents."""
        genes = genes[first_of_equal_rows(genes)]
        latency_ms = self._pricer.price(genes, self._accelerator[None])[0][:, 0]
        self.nearest_ms = min(self.nearest_ms, float(latency_ms.min()))
        within = latency_ms <= self._limit_ms
        accuracy = checked_accuracy(self._oracle, genes[within])
        self.candidates += len(accuracy)
        every = np.concatenate([self.genes, genes[within]])
        judged = np.concatenate([self.accuracy, accuracy])
        latencies = np.concatenate([self.latency_ms, latency_ms[within]])
        best = np.argsort(-judged, kind="stable")[: 2 * _PARENTS]
        best = best[first_of_equal_rows(every[best])][:_PARENTS]
        self.genes, self.accuracy, self.latency_ms = every[best], judged[best], latencies[best]


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
    space = pricer.joint.space
    rng = np.random.default_rng(seed)
    population = _Population(pricer, oracle, accelerator, max_latency_ms)
    population.add(space.encode(space.smallest())[None])
    for _ in range(_DRAWS):
        if len(population.genes) >= _PARENTS // 2 or population.candidates >= candidates:
            break
        population.add(space.sample_genes(rng, _CHILDREN))
    if not len(population.genes):
        raise InfeasibleError(
            f"latency_ms: no subnet of {space.name} within {max_latency_ms:g} ms on this accelerator; "
            f"the least seen takes {population.nearest_ms:.4g} ms"
        )
    generations = max(1, 4 * candidates // _CHILDREN)
    for _ in range(generations):
        if population.candidates >= candidates:
            break
        parents = population.genes[rng.integers(len(population.genes), size=2 * _CHILDREN)]
        population.add(space.canonical(breed(parents, space.gene_sizes, rng, _MUTATION_RATE)))
    return SpecialisedSubnet(
        population.genes[0], float(population.accuracy[0]), float(population.latency_ms[0]), population.candidates
    )
