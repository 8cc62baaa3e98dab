"""The exact front of all pairs of many subnets and accelerators, on a CPU or a GPU."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.nn.functional import embedding_bag

from codesign.search.pareto import PricedPairs, concatenate, no_pairs
from codesign.supernet.accuracy.oracle import AccuracyOracle, checked_accuracy
from codesign.templates.engine.pricing import PairPricer
from cost_models.closed_form.estimate import network_energy_mj, network_latency_cycles
from hw_templates.foundation.arrays import IntArray

# Pairs priced at a time: two arrays of float64 of this many, and what compares them, fit any GPU.
_BLOCK_PAIRS = 1 << 25


def exact_front(
    pricer: PairPricer,
    oracle: AccuracyOracle,
    genes: IntArray,
    accelerators: IntArray,
    device: torch.device | str = "cpu",
) -> PricedPairs:
    """Return the pairs of subnets [n, G] and accelerators [A, P] that no other pair dominates, ascending in latency.

    Subnets are taken from the most accurate on, so that a pair is on the front only if it needs less energy than all
    pairs before it of at most its latency: one look-up among those not dominated in latency and energy.

    Args:
        pricer: prices the layers, on the CPU, and knows the board; its ``pairs`` grows by n * A.
        oracle: knows the accuracies.
        genes: choice indices of subnets.
        accelerators: choice indices, legal ones; whether they fit the board is not looked at.
        device: where the pairs are priced and compared.
    """
    accuracy = checked_accuracy(oracle, genes)
    order = np.argsort(-accuracy, kind="stable")
    table = pricer.segment_table(genes[order], accelerators)
    segments, cycles, dynamic_mj = (torch.from_numpy(part).to(device) for part in (table[0], *table[1]))
    board, clock_mhz = pricer.joint.board, pricer.joint.accelerators.decode(accelerators).clock_mhz
    cycles_per_ms = torch.from_numpy(clock_mhz * 1e3).to(device)
    front = no_pairs(pricer.joint)
    for subnets in _growing_blocks(len(genes), max(1, _BLOCK_PAIRS // max(1, len(accelerators)))):
        sums: Any = [embedding_bag(segments[subnets], part, mode="sum") for part in (cycles, dynamic_mj)]
        latency_ms = network_latency_cycles(sums[0], pricer.coefficients) / cycles_per_ms
        energy_mj = network_energy_mj(sums[1], latency_ms, board)
        # least[k] is the least energy of the k pairs of the front with the least latencies.
        least = np.minimum.accumulate(np.concatenate([[np.inf], front.energy_mj]))
        steps = torch.from_numpy(np.ascontiguousarray(front.latency_ms)).to(device)
        faster = torch.searchsorted(steps, latency_ms.contiguous(), right=True)
        found = torch.nonzero(energy_mj < torch.from_numpy(least).to(device)[faster], as_tuple=True)
        costs = [part[found].cpu().numpy() for part in (latency_ms, energy_mj)]
        rows, columns = (part.cpu().numpy() for part in found)
        chosen = order[subnets][rows]
        pairs = np.concatenate([genes[chosen], accelerators[columns]], axis=1)
        values = np.stack([accuracy[chosen], *costs], axis=1)
        front = concatenate([front, PricedPairs(pairs, values)]).front()
    pricer.pairs += len(genes) * len(accelerators)
    return front


def _growing_blocks(count: int, most: int) -> Iterator[slice]:
    """Slices that cover ``count``, twice as long each time: the first ones have no front yet to compare with."""
    start, size = 0, 1
    while start < count:
        yield slice(start, min(start + size, count))
        start, size = start + size, min(2 * size, most)
