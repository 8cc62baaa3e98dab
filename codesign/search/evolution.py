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
        self._sizes = np.array([len(choices) for _, choices in problem.joint.parameters])
        self._swept = [column for column, (name, _) in enumerate(problem.joint.parameters) if name == swept]
        self._tried: set[bytes] = set()

    def run_round(self, archive: PricedPairs, key: RoundKey) -> Round:
        """Run one round from ``archive``, which may be empty; see :class:`~codesign.search.problem.Evolution`."""
        # Zeros at the end change nothing: the first worker draws as if there were no number of workers.
        rng = np.random.default_rng([key.seed, key.number, key.worker])
        new = self._new_rows(archive, rng)
        gene_count = self._problem.joint.gene_count
        accuracy = checked_accuracy(self._oracle, new[:, :gene_count]) if len(new) else np.zeros(0)
        rows = self._at_every_choice(new)
        accuracy = np.repeat(accuracy, len(rows) // max(1, len(new)))
        prices, needs = self._problem.evaluate(rows)
        fits = self._problem.within(prices, needs)
        kept = np.maximum(accuracy - self._problem.loss(rows), 0)
        found = PricedPairs(rows[fits], np.column_stack([kept, prices])[fits])
        done = SearchProgress(rounds=1, pairs=len(rows), accelerators=len(rows))
        return Round(concatenate([archive, found]).front(), no_pairs(self._problem.joint), done)

    def _new_rows(self, archive: PricedPairs, rng: np.random.Generator) -> IntArray:
        """[n, G + P] rows that were not tried, drawn and bred; swept parameters at their first choice."""
        joint = self._problem.joint
        count = _BATCH if not len(archive) else round(_IMMIGRANTS * _BATCH)
        rows = rng.integers(self._sizes, size=(count, len(self._sizes)))
        if not len(archive):
            rows[0] = 0
        else:
            parents = archive.rows[rng.integers(len(archive), size=2 * _BATCH)]
            rows = np.concatenate([rows, breed(parents, self._sizes, rng, _RATE)])
        rows[:, self._swept] = 0
        rows[:, : joint.gene_count] = joint.space.canonical(rows[:, : joint.gene_count])
        fresh = [row for row in unique_rows(rows) if row.tobytes() not in self._tried]
        self._tried.update(row.tobytes() for row in fresh)
        return np.array(fresh, dtype=np.int64).reshape(-1, rows.shape[1])

    def _at_every_choice(self, rows: IntArray) -> IntArray:
        """Each row at every choice of the swept parameter."""
        for column in self._swept:
            count = int(self._sizes[column])
            rows = np.repeat(rows, count, axis=0)
            rows[:, column] = np.tile(np.arange(count), len(rows) // count)
        return rows
