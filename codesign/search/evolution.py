"""Evolution of pairs as they are, for templates whose accelerators hold one subnet each."""

import numpy as np

from codesign.search.genetics import breed, unique_rows
from codesign.search.pareto import PricedPairs, concatenate, no_pairs
from codesign.search.problem import Problem, Round, RoundKey, SearchProgress
from codesign.supernet.accuracy.oracle import AccuracyOracle, checked_accuracy
from hw_templates.foundation.arrays import IntArray

_BATCH = 128
_IMMIGRANTS = 0.2
_RATE = 0.08


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
