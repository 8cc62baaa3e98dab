"""Which pairs to try next, where only accuracy has to be learned from trials."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from codesign.search.evolution import unique_rows
from codesign.search.pareto import ACCURACY, LATENCY, PricedPairs, ReferencePoint, concatenate, no_pairs
from codesign.search.problem import RoundKey
from codesign.search.winner import spread
from codesign.supernet.accuracy.predictor import LEAST_SUBNETS, Predictor, fit_predictor
from codesign.supernet.spaces.space import Genes
from codesign.templates.engine.breeding import Limits, RoundPlan, draw_fitting, moved
from codesign.templates.engine.evolution import EngineEvolution
from codesign.templates.engine.pricing import PairPricer
from hw_templates.foundation.arrays import FloatArray, IntArray

_BATCH = 4
_ROUNDS = 12
_FIRST_SUBNETS = 256
_FIRST_ACCELERATORS = 64
# What a fit costs grows with the cube of the sample; later trials lie nearer to the front.
_MOST_SUBNETS = 400
_MOST_CANDIDATES = 96
_PLAN = RoundPlan(subnets=48, accelerators=12, new_accelerators=32, new_period=4, first_accelerators=96, screened=1)


@dataclass(frozen=True)
class TriedPairs:
    """The pairs that the trials of a study have tried, whatever the state of the trials.

    Attributes:
        rows: every pair, as the bytes of its row.
        subnets: their subnets, as the bytes of their genes.
        running: [r, G + P] the pairs of trials that have not ended.
    """

    rows: frozenset[bytes]
    subnets: frozenset[bytes]
    running: IntArray


class _LearnedAccuracy:
    """Accuracies learned from trials: the mean of a subnet's own trials, and a prediction for others.

    It is that of a fitted predictor, or the mean of all where there are too few subnets to fit one.
    """

    def __init__(self, pricer: PairPricer, found: PricedPairs) -> None:
        space, gene_count = pricer.joint.space, pricer.joint.gene_count
        genes, places = np.unique(found.rows[:, :gene_count], axis=0, return_inverse=True)
        accuracy = np.bincount(places.ravel(), found.accuracy) / np.bincount(places.ravel())
        self._space, self._mean = space, float(accuracy.mean())
        self._known = {row.tobytes(): value for row, value in zip(genes, accuracy, strict=True)}
        self._predictor: Predictor | None = None
        if len(genes) >= LEAST_SUBNETS:
            last = np.zeros(len(genes), dtype=np.int64)
            np.maximum.at(last, places.ravel(), np.arange(len(found)))
            kept = np.sort(np.argsort(-last)[:_MOST_SUBNETS])
            self._predictor = fit_predictor(space, "", genes[kept], accuracy[kept])

    def accuracy(self, genes: Genes) -> FloatArray:
        """Return [n] accuracies, 0 to 1, of the subnets of genotypes [n, G]."""
        predicted = np.full(len(genes), self._mean) if self._predictor is None else self._predictor.accuracy(genes)
        for index, row in enumerate(self._space.canonical(genes)):
            predicted[index] = self._known.get(row.tobytes(), predicted[index])
        return predicted


class Proposer:
    """Proposes batches of pairs within ``limits``; what it predicted to be best serves the next batch.

    Attributes:
        queue: rows of the pairs that were proposed, to be taken from the front.
    """

    def __init__(self, pricer: PairPricer, limits: Limits) -> None:
        self.queue: list[IntArray] = []
        self._pricer = pricer
        self._limits = limits
        self._pool = no_pairs(pricer.joint)

    def propose(self, found: PricedPairs, tried: TriedPairs, seed: int, batch: int) -> list[IntArray]:
        """Return the next pairs, given the trials so far: one or more, and new ones as long as some are found.

        Equal seeds and numbers of the batch draw equal random numbers.

        Raises:
            InfeasibleError: no accelerator within the limits fits the board.
        """
        rng = np.random.default_rng([seed, batch])
        subnets = len(np.unique(found.rows[:, : self._pricer.joint.gene_count], axis=0))
        if subnets < LEAST_SUBNETS:
            genes = self._draw_subnets(rng, with_ends=not tried.rows)
            fresh = genes[[row.tobytes() not in tried.subnets for row in genes]]
            if len(fresh) or not subnets:
                genes = fresh if len(fresh) else genes
                return self._on_good_accelerators(rng, genes[: max(1, LEAST_SUBNETS - len(tried.subnets))], tried)
        learned = _LearnedAccuracy(self._pricer, found)
        inside = found.take(self._limits.hold(self._pricer.joint, found.rows))
        self._pool = self._evolve(inside, learned, seed, batch)
        reached = concatenate([inside.front(), self._believed(tried.running, learned)])
        chosen = list(_most_gain(reached, self._pool.without(tried.rows)))
        return chosen or self._on_good_accelerators(rng, self._draw_subnets(rng)[:_BATCH], tried)

    def _draw_subnets(self, rng: np.random.Generator, with_ends: bool = False) -> Genes:
        """[n, G] different random subnets within the limits; on demand the smallest and the largest come first."""
        space = self._pricer.joint.space
        genes = space.sample_genes(rng, _FIRST_SUBNETS)
        if with_ends:
            genes = np.concatenate([np.outer([0, 1], space.gene_sizes - 1), genes])
        return unique_rows(space.canonical(moved(genes, self._limits.genes, rng)))

    def _on_good_accelerators(self, rng: np.random.Generator, genes: Genes, tried: TriedPairs) -> list[IntArray]:
        """Each subnet [n, G] on the accelerator that is the best compromise for it, of some with which it is new."""
        accelerators = draw_fitting(self._pricer, rng, _FIRST_ACCELERATORS, self._limits)
        latency_ms, energy_mj = self._pricer.price(genes, accelerators)
        best_first = (np.log(latency_ms) + np.log(energy_mj)).argsort(axis=1, kind="stable")
        rows = []
        for subnet, order in zip(genes, best_first, strict=True):
            pairs = [np.concatenate([subnet, accelerators[index]]) for index in order]
            rows.append(next((pair for pair in pairs if pair.tobytes() not in tried.rows), pairs[0]))
        return rows

    def _evolve(self, found: PricedPairs, learned: _LearnedAccuracy, seed: int, batch: int) -> PricedPairs:
        """The front predicted after some rounds of evolution from the pairs found and those of earlier batches."""
        values = self._pool.values.copy()
        if len(values):
            values[:, ACCURACY] = learned.accuracy(self._pool.rows[:, : self._pricer.joint.gene_count])
        archive = concatenate([found, replace(self._pool, values=values)]).front()
        evolution = EngineEvolution(self._pricer, learned, _PLAN, self._limits)
        for number in range(batch * _ROUNDS, (batch + 1) * _ROUNDS):
            archive = evolution.run_round(archive, RoundKey(seed, 0, number)).archive
        return archive

    def _believed(self, running: IntArray, learned: _LearnedAccuracy) -> PricedPairs:
        """Pairs [r, G + P] of running trials with the accuracies that are predicted of them, as if they had ended.

        So others are tried meanwhile than these and their like (Ginsbourger et al. 2010, "Kriging is well-suited to
        parallelize optimization": constant liar, kriging believer).
        """
        joint = self._pricer.joint
        rows = running[self._pricer.fits(running) & self._limits.hold(joint, running)]
        if not len(rows):
            return no_pairs(joint)
        genes, accelerators = np.split(rows, [joint.gene_count], axis=1)
        costs = [np.diagonal(values) for values in self._pricer.price(genes, accelerators)]
        values = np.stack([learned.accuracy(genes), *costs], axis=1)
        mapped = np.isfinite(values).all(axis=1)
        return PricedPairs(rows[mapped], values[mapped])


def _most_gain(reached: PricedPairs, candidates: PricedPairs) -> Iterator[IntArray]:
    """Rows of at most ``_BATCH`` candidates, each adding most hypervolume to ``reached`` and those before it."""
    if not len(candidates):
        return
    values, every = reached.values, np.concatenate([reached.values, candidates.values])
    costs = 1.05 * every[:, LATENCY:].max(axis=0)
    worst = ReferencePoint(max(float(every[:, ACCURACY].min()) - 1e-3, 0), *costs.tolist())
    candidates = candidates.take(spread(candidates.values, _MOST_CANDIDATES))
    for _ in range(min(_BATCH, len(candidates))):
        volume = worst.hypervolume(values)
        gains = [worst.hypervolume(np.vstack([values, value])) - volume for value in candidates.values]
        best = int(np.argmax(gains))
        if gains[best] <= 0:
            return
        yield candidates.rows[best]
        values = np.vstack([values, candidates.values[best]])
