"""Which pairs to try next, where only accuracy has to be learned from trials."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from codesign.search.genetics import unique_rows
from codesign.search.pareto import ACCURACY, PricedPairs, ReferencePoint, concatenate, no_pairs
from codesign.search.problem import RoundKey
from codesign.search.winner import spread
from codesign.supernet.accuracy.predictor import LEAST_SUBNETS, Predictor, fit_predictor
from codesign.supernet.spaces.space import Genes
from codesign.templates.engine.breeding import RoundPlan, draw_fitting
from codesign.templates.engine.evolution import run_round
from codesign.templates.engine.limits import Limits
from codesign.templates.engine.pricing import PairPricer
from codesign.templates.engine.tried import TriedPairs
from hw_templates.foundation.arrays import FloatArray, IntArray

_BATCH = 4
_ROUNDS = 12
_FIRST_SUBNETS = 256
_FIRST_ACCELERATORS = 64
# What a fit costs grows with the cube of the sample; later trials lie nearer to the front.
_MOST_SUBNETS = 400
_MOST_CANDIDATES = 96
_PLAN = RoundPlan(subnets=48, accelerators=12, new_accelerators=32, new_period=4, first_accelerators=96, screened=1)


class _LearnedAccuracy:
    """What trials say of accuracy: the mean of a subnet's own trials, and for others a prediction.

    It is that of a fitted predictor, or the mean of all where there are too few subnets to fit one.
    """

    def __init__(self, pricer: PairPricer, found: PricedPairs) -> None:
        space, gene_count = pricer.joint.space, pricer.joint.gene_count
        genes, places = np.unique(found.rows[:, :gene_count], axis=0, return_inverse=True)
        accuracy = np.bincount(places.ravel(), found.accuracy) / np.bincount(places.ravel())
        self._space = space
        self._known = {row.tobytes(): value for row, value in zip(genes, accuracy, strict=True)}
        self._mean = float(accuracy.mean())
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


@dataclass(frozen=True)
class Draw:
    """Which random numbers a batch draws; equal ones draw equal numbers."""

    seed: int
    batch: int


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

    def propose(self, found: PricedPairs, tried: TriedPairs, draw: Draw) -> None:
        """Queue the next pairs, given the trials so far: one or more, and new ones as long as some are found.

        Raises:
            InfeasibleError: no accelerator within the limits fits the board.
        """
        self.queue += self._next_pairs(found, tried, draw)

    def _next_pairs(self, found: PricedPairs, tried: TriedPairs, draw: Draw) -> list[IntArray]:
        rng = np.random.default_rng([draw.seed, draw.batch])
        subnets = len(np.unique(found.rows[:, : self._pricer.joint.gene_count], axis=0))
        if subnets < LEAST_SUBNETS:
            genes = self._draw_subnets(rng, with_ends=not tried.rows)
            fresh = np.array([row.tobytes() not in tried.subnets for row in genes], dtype=bool)
            if fresh.any() or not subnets:
                genes = genes[fresh] if fresh.any() else genes
                return self._on_good_accelerators(rng, genes[: max(1, LEAST_SUBNETS - len(tried.subnets))], tried)
        learned = _LearnedAccuracy(self._pricer, found)
        inside = found.take(self._limits.hold(self._pricer.joint, found.rows))
        self._pool = self._evolve(inside, learned, draw)
        fresh = np.array([row.tobytes() not in tried.rows for row in self._pool.rows], dtype=bool)
        candidates = self._pool.take(fresh)
        reached = concatenate([inside.front(), self._believed(tried.running, learned)])
        chosen = [candidates.rows[index] for index in _most_gain(reached, candidates)]
        return chosen or self._on_good_accelerators(rng, self._draw_subnets(rng)[:_BATCH], tried)

    def _draw_subnets(self, rng: np.random.Generator, with_ends: bool = False) -> Genes:
        """[n, G] different random subnets within the limits; on demand the smallest and the largest come first."""
        space = self._pricer.joint.space
        genes = space.sample_genes(rng, _FIRST_SUBNETS)
        if with_ends:
            genes = np.concatenate([[space.encode(space.smallest()), space.encode(space.largest())], genes])
        return unique_rows(space.canonical(self._limits.move_genes(genes, rng)))

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

    def _evolve(self, found: PricedPairs, learned: _LearnedAccuracy, draw: Draw) -> PricedPairs:
        """The front predicted after some rounds of evolution from the pairs found and those of earlier batches."""
        values = self._pool.values.copy()
        if len(values):
            values[:, ACCURACY] = learned.accuracy(self._pool.rows[:, : self._pricer.joint.gene_count])
        archive = concatenate([found, replace(self._pool, values=values)]).front()
        for number in range(_ROUNDS):
            key = RoundKey(draw.seed, 0, draw.batch * _ROUNDS + number)
            archive = run_round(self._pricer, learned, archive, key, _PLAN, self._limits).archive
        return archive

    def _believed(self, running: IntArray, learned: _LearnedAccuracy) -> PricedPairs:
        """Pairs [r, G + P] of running trials with the accuracies that are predicted of them, as if they had ended.

        So others are tried meanwhile than these and their like (Ginsbourger et al. 2010, "Kriging is well-suited to
        parallelize optimization": constant liar, kriging believer).
        """
        joint = self._pricer.joint
        rows = running[self._pricer.fits(running) & self._limits.hold(joint, running)]
        if not len(rows):
            return no_pairs(self._pricer.joint)
        genes, accelerators = np.split(rows, [joint.gene_count], axis=1)
        costs = [np.diagonal(values) for values in self._pricer.price(genes, accelerators)]
        values = np.stack([learned.accuracy(genes), *costs], axis=1)
        mapped = np.isfinite(values).all(axis=1)
        return PricedPairs(rows[mapped], values[mapped])


def _most_gain(reached: PricedPairs, candidates: PricedPairs) -> Iterator[int]:
    """Indices of at most ``_BATCH`` candidates, each adding most hypervolume to ``reached`` and those before it."""
    if not len(candidates):
        return
    kept = spread(candidates.values, _MOST_CANDIDATES)
    both = np.concatenate([reached.values, candidates.values])
    worst = ReferencePoint(
        float(max(both[:, 0].min() - 1e-3, 0)), 1.05 * float(both[:, 1].max()), 1.05 * float(both[:, 2].max())
    )
    values = reached.values
    for _ in range(min(_BATCH, len(kept))):
        volume = worst.hypervolume(values)
        gains = [worst.hypervolume(np.vstack([values, candidates.values[index]])) - volume for index in kept]
        best = int(np.argmax(gains))
        if gains[best] <= 0:
            return
        yield int(kept[best])
        values = np.vstack([values, candidates.values[kept[best]]])
