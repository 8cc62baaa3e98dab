"""Batched evolution of subnets and accelerators together, in memory.

One round breeds a batch of accelerators and a batch of subnets from the archive of non-dominated pairs, and prices
every pair of the two: an accelerator's layer table is the costly part, and it serves all the subnets of the batch.
A round depends on nothing but the archive and its own random generator, so a search can go on after any round.
"""

from dataclasses import dataclass

import numpy as np

from codesign.search.breeding import RoundPlan, breed_subnets, promising_accelerators, veteran_accelerators
from codesign.search.limits import EVERYTHING, Limits
from codesign.search.pareto import PricedPairs, concatenate
from codesign.search.pricing import PairPricer
from codesign.supernet.accuracy.oracle import AccuracyOracle, checked_accuracy
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


def no_pairs(pricer: PairPricer) -> PricedPairs:
    """The archive before the first round."""
    return PricedPairs(np.zeros((0, len(pricer.joint.parameters)), dtype=np.int64), np.zeros((0, 3)))


@dataclass(frozen=True)
class RoundKey:
    """Which round: the search's seed, the worker, and its round number. Equal keys draw equal random numbers."""

    seed: int
    worker: int
    number: int


@dataclass(frozen=True)
class Round:
    """What a round brought.

    Attributes:
        archive: every non-dominated pair known after it.
        misfits: a few pairs whose accelerator does not fit the board; so a reader of the study sees where it ends.
    """

    archive: PricedPairs
    misfits: PricedPairs


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
    joint, subnets = pricer.joint, plan.subnets
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
    fits = (pricer.excess(joint.columns(priced.rows)) <= 0).all(axis=1)
    outside = priced.take(~fits).front()
    return Round(concatenate([archive, priced.take(fits)]).front(), outside.take(np.arange(len(outside))[:_MISFITS]))


def evolve(
    pricer: PairPricer, oracle: AccuracyOracle, pairs: int, seed: int, plan: RoundPlan | None = None
) -> PricedPairs:
    """The front found in memory, with no study, after at least ``pairs`` priced pairs.

    Raises:
        InfeasibleError: no accelerator fits the board.
    """
    plan = plan or RoundPlan.of_budget(pairs)
    archive, end, number = no_pairs(pricer), pricer.pairs + pairs, 0
    while pricer.pairs < end:
        archive = run_round(pricer, oracle, archive, RoundKey(seed, 0, number), plan).archive
        number += 1
    return archive
