"""Batched evolution of subnets and accelerators together, in memory.

One round breeds a batch of accelerators and a batch of subnets from the archive of non-dominated pairs, and prices
every pair of the two: an accelerator's layer table is the costly part, and it serves all the subnets of the batch.
A round depends on nothing but the archive and its own random generator, so a search can go on after any round.
"""

from dataclasses import dataclass, replace

import numpy as np

from codesign.search.pareto import PricedPairs, concatenate, no_pairs
from codesign.search.problem import Round, RoundKey
from codesign.supernet.accuracy.oracle import AccuracyOracle, checked_accuracy
from codesign.templates.engine.breeding import RoundPlan, breed_subnets, promising_accelerators, veteran_accelerators
from codesign.templates.engine.limits import EVERYTHING, Limits
from codesign.templates.engine.pricing import PairPricer
from hw_templates.foundation.arrays import IntArray

# Accelerators that do not fit, priced in each round that breeds new ones.
_MISFITS = 2


def price_pairs(pricer: PairPricer, oracle: AccuracyOracle, genes: IntArray, accelerators: IntArray) -> PricedPairs:
    """Every pair of subnets [n, G] and legal accelerators [A, P] that can be mapped: at most n * A pairs."""
    latency_ms, energy_mj = pricer.price(genes, accelerators)
    accuracy = np.broadcast_to(checked_accuracy(oracle, genes)[:, None], latency_ms.shape)
    values = np.stack([accuracy, latency_ms, energy_mj], axis=2).reshape(-1, 3)
    rows = np.concatenate([np.repeat(genes, len(accelerators), axis=0), np.tile(accelerators, (len(genes), 1))], axis=1)
    mapped = np.isfinite(values).all(axis=1)
    return PricedPairs(rows[mapped], values[mapped])


def run_round(
    pricer: PairPricer,
    oracle: AccuracyOracle,
    archive: PricedPairs,
    key: RoundKey,
    plan: RoundPlan,
    limits: Limits = EVERYTHING,
) -> Round:
    """One round from ``archive``, which may be empty; the archive and what is bred are within the limits.

    Raises:
        InfeasibleError: no accelerator fits the board.
    """
    rng = np.random.default_rng([key.seed, key.worker, key.number])
    before, subnets = pricer.done, plan.subnets
    if len(archive) and key.number % plan.new_period:
        accelerators = veteran_accelerators(pricer, archive, rng, plan)
        # Where the archive has fewer accelerators, more subnets make up for it.
        subnets = plan.subnets * plan.accelerators // len(accelerators)
    else:
        fitting, misfits = promising_accelerators(pricer, archive, rng, plan, limits)
        accelerators = np.concatenate([fitting, misfits[:_MISFITS]])
        if not len(accelerators):
            # All that there are within the limits are known.
            accelerators = veteran_accelerators(pricer, archive, rng, plan)
    genes = breed_subnets(pricer, archive, rng, plan, subnets, limits)
    priced = price_pairs(pricer, oracle, genes, accelerators)
    fits = (pricer.excess(pricer.joint.designs(priced.rows)) <= 0).all(axis=1)
    outside = priced.take(~fits).front()
    return Round(
        archive=concatenate([archive, priced.take(fits)]).front(),
        misfits=outside.take(np.arange(len(outside))[:_MISFITS]),
        done=replace(pricer.done - before, rounds=1),
    )


@dataclass(frozen=True)
class EngineEvolution:
    """Breeds batches of subnets and engines apart and prices them together; see :class:`~.problem.Evolution`."""

    pricer: PairPricer
    oracle: AccuracyOracle
    plan: RoundPlan

    def run_round(self, archive: PricedPairs, key: RoundKey) -> Round:
        """Run one round from ``archive``; see :func:`run_round`."""
        return run_round(self.pricer, self.oracle, archive, key, self.plan)


def evolve(
    pricer: PairPricer, oracle: AccuracyOracle, pairs: int, seed: int, plan: RoundPlan | None = None
) -> PricedPairs:
    """The front found in memory, with no study, after at least ``pairs`` priced pairs.

    Raises:
        InfeasibleError: no accelerator fits the board.
    """
    plan = plan or RoundPlan.of_budget(pairs)
    archive, end, number = no_pairs(pricer.joint), pricer.pairs + pairs, 0
    while pricer.pairs < end:
        archive = run_round(pricer, oracle, archive, RoundKey(seed, 0, number), plan).archive
        number += 1
    return archive
