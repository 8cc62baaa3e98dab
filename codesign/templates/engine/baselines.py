"""What the joint search is compared with, at an equal number of priced pairs and with the same accuracy and prices."""

import numpy as np

from codesign.search.pareto import PricedPairs, ReferencePoint, concatenate, no_pairs
from codesign.supernet.accuracy.oracle import AccuracyOracle, checked_accuracy
from codesign.templates.engine.breeding import RoundPlan, breed_subnets, draw_fitting, promising_accelerators
from codesign.templates.engine.evolution import price_pairs
from codesign.templates.engine.pricing import PairPricer
from hw_templates.conv_engine.accelerator import Accelerator, AcceleratorColumns
from hw_templates.conv_engine.space import AcceleratorSpace

# The network first, the accelerator second, half of the budget each.
SEQUENTIAL_NETWORK_SHARE = 0.5
REFERENCE_SUBNETS = 256


def random_front(
    pricer: PairPricer, oracle: AccuracyOracle, pairs: int, seed: int, plan: RoundPlan | None = None
) -> PricedPairs:
    """The front of at least ``pairs`` random pairs.

    Subnets are drawn uniformly, accelerators uniformly from those that are legal and fit. They are paired in batches
    of ``plan.new_accelerators`` with as many subnets as let both searches price as many accelerators for as many pairs.
    """
    plan = plan or RoundPlan()
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
        depthwise_lanes=8,
    )


def reference_point(pricer: PairPricer, oracle: AccuracyOracle) -> ReferencePoint:
    """The point that all methods' hypervolumes on one board and space refer to.

    Latency and energy are those of the largest subnet on :func:`reference_accelerator`; accuracy is the least of
    ``REFERENCE_SUBNETS`` random subnets. It depends on no search.
    """
    space = pricer.joint.accelerators
    fixed = space.encode(AcceleratorColumns.of([reference_accelerator(space)]))
    subnets = pricer.joint.space
    _, latency_ms, energy_mj = price_pairs(pricer, oracle, subnets.encode(subnets.largest())[None], fixed).values[0]
    sample = subnets.sample_genes(np.random.default_rng(0), REFERENCE_SUBNETS)
    return ReferencePoint(float(checked_accuracy(oracle, sample).min()), float(latency_ms), float(energy_mj))


def sequential_front(
    pricer: PairPricer, oracle: AccuracyOracle, pairs: int, seed: int, plan: RoundPlan | None = None
) -> PricedPairs:
    """The front of searching the network first and the accelerator second.

    ``SEQUENTIAL_NETWORK_SHARE`` of ``pairs`` goes to evolving subnets on :func:`reference_accelerator`, in batches as
    large as a joint round; the rest to evolving accelerators for the networks found: all of that front, or as many of
    it, evenly spread in latency, as the joint search prices for each new accelerator. Both halves use the operators of
    the joint search.
    """
    plan = plan or RoundPlan()
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
