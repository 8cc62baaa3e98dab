"""The exact front of all pairs of many subnets and accelerators, on a CPU or a GPU."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from codesign.search.pareto import PricedPairs, concatenate
from codesign.supernet.accuracy.oracle import AccuracyOracle, checked_accuracy
from codesign.templates.engine.pricing import PairPricer
from cost_models.closed_form.estimate import network_energy_mj, network_latency_cycles
from hw_templates.foundation.arrays import FloatArray, IntArray

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
    front = PricedPairs(np.zeros((0, genes.shape[1] + accelerators.shape[1]), dtype=np.int64), np.zeros((0, 3)))
    table = _PairTable(pricer, genes[order], accelerators, torch.device(device))
    for subnets in _growing_blocks(len(genes), max(1, _BLOCK_PAIRS // max(1, len(accelerators)))):
        rows, columns, latency_ms, energy_mj = table.below(subnets, front)
        chosen = order[subnets][rows]
        pairs = np.concatenate([genes[chosen], accelerators[columns]], axis=1)
        values = np.stack([accuracy[chosen], latency_ms, energy_mj], axis=1)
        front = concatenate([front, PricedPairs(pairs, values)]).front()
    pricer.pairs += len(genes) * len(accelerators)
    return front


def _growing_blocks(count: int, most: int) -> Iterator[slice]:
    """Slices that cover ``count``, twice as long each time: the first ones have no front yet to compare with."""
    start, size = 0, 1
    while start < count:
        yield slice(start, min(start + size, count))
        start, size = start + size, min(2 * size, most)


class _PairTable:
    """Sums of priced segments, on a device."""

    def __init__(self, pricer: PairPricer, genes: IntArray, accelerators: IntArray, device: torch.device) -> None:
        segments, (cycles, energy_mj) = pricer.segment_table(genes, accelerators)
        self._segments = torch.from_numpy(segments).to(device)
        self._cycles, self._energy_mj = (torch.from_numpy(costs).to(device) for costs in (cycles, energy_mj))
        clock_mhz = pricer.joint.accelerators.decode(accelerators).clock_mhz
        self._cycles_per_ms = torch.from_numpy(clock_mhz * 1e3).to(device)
        self._pricer, self._device = pricer, device

    def below(self, subnets: slice, front: PricedPairs) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
        """(subnet within the slice, accelerator, latency_ms, energy_mj) of the pairs that no pair of ``front``, all at
        least as accurate, beats in latency and energy."""
        segments = self._segments[subnets]
        cycles: Any = functional.embedding_bag(segments, self._cycles, mode="sum")
        dynamic_mj: Any = functional.embedding_bag(segments, self._energy_mj, mode="sum")
        latency_ms: Any = network_latency_cycles(cycles, self._pricer.coefficients) / self._cycles_per_ms
        energy_mj = network_energy_mj(dynamic_mj, latency_ms, self._pricer.joint.accelerators.board)
        # least[k] is the least energy of the k pairs of the front with the least latencies.
        least = np.minimum.accumulate(np.concatenate([[np.inf], front.energy_mj]))
        steps = torch.from_numpy(np.ascontiguousarray(front.latency_ms)).to(self._device)
        faster = torch.searchsorted(steps, latency_ms.contiguous(), right=True)
        rows, columns = torch.nonzero(energy_mj < torch.from_numpy(least).to(self._device)[faster], as_tuple=True)
        latency, energy = latency_ms[rows, columns], energy_mj[rows, columns]
        return rows.cpu().numpy(), columns.cpu().numpy(), latency.cpu().numpy(), energy.cpu().numpy()
