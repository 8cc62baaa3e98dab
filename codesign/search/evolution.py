"""Genetic operators on rows of choice indices, and the evolution of pairs as they are.

The latter is for templates whose accelerators hold one subnet each.
"""

import numpy as np

from codesign.search.pareto import PricedPairs, concatenate, no_pairs
from codesign.search.problem import Problem, Round, RoundKey, SearchProgress
from codesign.supernet.accuracy.oracle import AccuracyOracle, checked_accuracy
from hw_templates.foundation.arrays import IntArray

_BATCH = 128
_IMMIGRANTS = 0.2
_RATE = 0.08
_RATE_FACTORS = (1, 1, 2, 5)


class PairEvolution:
    """Breeds pairs of subnet and accelerator together; no pair is priced twice.

    Args:
        problem: the pairs and their prices.
        oracle: accuracies of subnets.
        swept: name of a parameter that costs nothing to vary, such as a clock: every pair is priced at all its choices.
    """

    def __init__(self, problem: Problem, oracle: AccuracyOracle, swept: str | None = None) -> None:
        self._problem, self._oracle = problem, oracle
        self._swept = np.array([name == swept for name, _ in problem.joint.parameters])
        self._tried: set[bytes] = set()

    def run_round(self, archive: PricedPairs, key: RoundKey) -> Round:
        """Run one round from ``archive``, which may be empty; see :class:`~codesign.search.problem.Evolution`."""
        joint = self._problem.joint
        # Zeros at the end change nothing: the first worker draws as if there were no number of workers.
        rng = np.random.default_rng([key.seed, key.number, key.worker])
        new = self._new_rows(archive, rng)
        accuracy = checked_accuracy(self._oracle, new[:, : joint.gene_count]) if len(new) else np.zeros(0)
        # Each new row at every choice of the swept parameter.
        choices = int(joint.sizes[self._swept].prod())
        rows, accuracy = np.repeat(new, choices, axis=0), np.repeat(accuracy, choices)
        rows[:, self._swept] = np.tile(np.arange(choices), len(new))[:, None]
        prices, needs = self._problem.evaluate(rows)
        fits = self._problem.within(prices, needs)
        kept = np.maximum(accuracy - self._problem.loss(rows), 0)
        found = PricedPairs(rows[fits], np.column_stack([kept, prices])[fits])
        done = SearchProgress(rounds=1, pairs=len(rows), accelerators=len(rows))
        return Round(concatenate([archive, found]).front(), no_pairs(joint), done)

    def _new_rows(self, archive: PricedPairs, rng: np.random.Generator) -> IntArray:
        """[n, G + P] rows that were not tried, drawn and bred; swept parameters at their first choice."""
        joint = self._problem.joint
        count = round(_IMMIGRANTS * _BATCH) if len(archive) else _BATCH
        rows = rng.integers(joint.sizes, size=(count, len(joint.sizes)))
        if len(archive):
            parents = archive.rows[rng.integers(len(archive), size=2 * _BATCH)]
            rows = np.concatenate([rows, breed(parents, joint.sizes, rng, _RATE)])
        else:
            rows[0] = 0
        rows[:, self._swept] = 0
        rows[:, : joint.gene_count] = joint.space.canonical(rows[:, : joint.gene_count])
        rows = unique_rows(rows)
        fresh = rows[[row.tobytes() not in self._tried for row in rows]]
        self._tried.update(row.tobytes() for row in fresh)
        return fresh


def breed(parents: IntArray, sizes: IntArray, rng: np.random.Generator, rate: float) -> IntArray:
    """[n, genes] children of parents [2n, genes]: half of them crossed, all of them mutated.

    Each gene changes with chance ``rate``, or several times that in some rows: heavy-tailed rates leave local optima
    that single steps cannot (Doerr et al. 2017). Half of the changes go to a neighbouring choice (choices are ordered),
    half to any.
    """
    first, second = np.split(parents, 2)
    # Uniform crossover (Syswerda 1989).
    crossed = np.where(rng.random(first.shape) < 0.5, first, second)
    rows = np.where(rng.random((len(first), 1)) < 0.5, crossed, first)
    rates = np.minimum(rate * rng.choice(_RATE_FACTORS, size=(len(rows), 1)), 1)
    neighbours = np.clip(rows + rng.choice([-1, 1], size=rows.shape), 0, sizes - 1)
    anywhere = rng.integers(sizes, size=rows.shape)
    changed = np.where(rng.random(rows.shape) < 0.5, neighbours, anywhere)
    return np.where(rng.random(rows.shape) < rates, changed, rows)


def unique_rows(rows: IntArray) -> IntArray:
    """Rows without repetitions, in order of first appearance."""
    return rows[first_of_equal_rows(rows)]


def first_of_equal_rows(rows: IntArray) -> IntArray:
    """Indices, ascending, of the rows that equal none before them.

    Rows are told apart by a 64-bit hash, many times faster than by their elements: that two of a million different
    rows are taken for one has a chance below 10^-7.
    """
    factors = np.random.default_rng(0).integers(2**63, size=rows.shape[1], dtype=np.uint64) | np.uint64(1)
    _, first = np.unique((rows.astype(np.uint64) + np.uint64(1)) @ factors, return_index=True)
    ascending: IntArray = np.sort(first)
    return ascending
