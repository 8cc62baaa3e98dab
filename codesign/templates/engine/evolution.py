"""Batched evolution of subnets and accelerators together, in memory, and the searches that it is compared with.

One round breeds a batch of accelerators and a batch of subnets from the archive of non-dominated pairs, and prices
every pair of the two: an accelerator's layer table is the costly part, and it serves all the subnets of the batch.
A round depends on nothing but the archive and its own random generator, so a search can go on after any round. What it
is compared with prices as many pairs with the same accuracies and prices.
"""

from dataclasses import dataclass, replace

import numpy as np

from codesign.search.pareto import PricedPairs, concatenate, no_pairs
from codesign.search.problem import Round, RoundKey
from codesign.supernet.accuracy.oracle import AccuracyOracle, checked_accuracy
from codesign.templates.engine.breeding import (
    EVERYTHING,
    Limits,
    RoundPlan,
    breed_subnets,
    draw_fitting,
    promising_accelerators,
    veteran_accelerators,
)
from codesign.templates.engine.pricing import PairPricer
from hw_templates.conv_engine.accelerator import Accelerator, AcceleratorColumns
from hw_templates.conv_engine.space import AcceleratorSpace
from hw_templates.foundation.arrays import IntArray

# Of the searches that the joint search is compared with.
_PLAN = RoundPlan()
# The network first, the accelerator second, half of the budget each.
SEQUENTIAL_NETWORK_SHARE = 0.5
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


@dataclass(frozen=True)
class EngineEvolution:
    """Breeds batches of subnets and engines apart and prices them together; see :class:`~.problem.Evolution`.

    The archive of a round and what is bred are within the limits.
    """

    pricer: PairPricer
    oracle: AccuracyOracle
    plan: RoundPlan
    limits: Limits = EVERYTHING

    def run_round(self, archive: PricedPairs, key: RoundKey) -> Round:
        """Run one round from ``archive``, which may be empty.

        Raises:
            InfeasibleError: no accelerator fits the board.
        """
        pricer, plan, limits = self.pricer, self.plan, self.limits
        rng = np.random.default_rng(key)
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
        priced = price_pairs(pricer, self.oracle, genes, accelerators)
        fits = pricer.fits(priced.rows)
        outside = priced.take(~fits).front()
        return Round(
            archive=concatenate([archive, priced.take(fits)]).front(),
            misfits=outside.take(np.arange(len(outside)) < _MISFITS),
            done=replace(pricer.done - before, rounds=1),
        )


def random_front(
    pricer: PairPricer, oracle: AccuracyOracle, pairs: int, seed: int, plan: RoundPlan = _PLAN
) -> PricedPairs:
    """The front of at least ``pairs`` random pairs.

    Subnets are drawn uniformly, accelerators uniformly from those that are legal and fit. They are paired in batches
    of ``plan.new_accelerators`` with as many subnets as let both searches price as many accelerators for as many pairs.
    """
    rng = np.random.default_rng(seed)
    archive, end = no_pairs(pricer.joint), pricer.pairs + pairs
    while pricer.pairs < end:
        genes = pricer.joint.space.sample_genes(rng, plan.subnets_per_new_accelerator)
        accelerators = draw_fitting(pricer, rng, plan.new_accelerators)
        archive = concatenate([archive, price_pairs(pricer, oracle, genes, accelerators)]).front()
    return archive


def reference_accelerator(space: AcceleratorSpace) -> Accelerator:
    """Return an accelerator to start from: a 16 x 16 array, 32 KiB buffers, the board's slowest clock."""
    return Accelerator(
        pe_rows=16,
        pe_cols=16,
        pe_pixels=1,
        pack=2,
        ifmap_kib=32,
        weight_kib=32,
        ofmap_kib=32,
        axi_bits=min(64, space.board.axi_bits_max),
        clock_mhz=space.board.clocks_mhz[0],
    )


def sequential_front(
    pricer: PairPricer, oracle: AccuracyOracle, pairs: int, seed: int, plan: RoundPlan = _PLAN
) -> PricedPairs:
    """The front of searching the network first and the accelerator second.

    ``SEQUENTIAL_NETWORK_SHARE`` of ``pairs`` goes to evolving subnets on :func:`reference_accelerator`, in batches as
    large as a joint round; the rest to evolving accelerators for the networks found: all of that front, or as many of
    it, evenly spread in latency, as the joint search prices for each new accelerator. Both halves use the operators of
    the joint search.
    """
    space = pricer.joint.accelerators
    rng = np.random.default_rng(seed)
    start = pricer.pairs
    fixed = space.encode(AcceleratorColumns.of([reference_accelerator(space)]))
    archive = no_pairs(pricer.joint)
    while pricer.pairs < start + SEQUENTIAL_NETWORK_SHARE * pairs:
        genes = breed_subnets(pricer, archive, rng, plan, plan.subnets * plan.accelerators)
        archive = concatenate([archive, price_pairs(pricer, oracle, genes, fixed)]).front()
    spread = np.unique(np.linspace(0, len(archive) - 1, plan.subnets_per_new_accelerator).round().astype(np.int64))
    networks = np.unique(archive.rows[spread, : pricer.joint.gene_count], axis=0)
    while pricer.pairs < start + pairs:
        accelerators, _ = promising_accelerators(pricer, archive, rng, plan)
        archive = concatenate([archive, price_pairs(pricer, oracle, networks, accelerators)]).front()
    return archive
