"""The best way to run each of many blocks on each of many accelerators: what stays on chip, and in which bands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from cost_models.closed_form.layer_table import price_layers
from cost_models.coefficients import Coefficients
from cost_models.mapping.block import Block, Option, find_blocks, partitions_of
from cost_models.mapping.placement import IN_MEMORY, Placement, kept_kib
from cost_models.workload import Layer, Workload
from hw_templates.board import Board
from hw_templates.conv_engine.accelerator import Accelerator, AcceleratorColumns
from hw_templates.foundation.arrays import BoolArray, FloatArray, IntArray

Run = tuple[Layer, Placement]


@dataclass(frozen=True, kw_only=True)
class BlockTable:
    """Blocks priced on accelerators, each run in the way of least latency.

    Attributes:
        latency_cycles, energy_mj: [K, A]; inf where a layer has no legal mapping.
        candidates: number of legal (layer, accelerator, placement, mapping) candidates there are.
        partitions: [K, A] the partition of each block, and
        options: [2, parts, A] the option of each part, as :meth:`BlockIndex.option` reads them.
    """

    latency_cycles: FloatArray
    energy_mj: FloatArray
    candidates: int
    partitions: IntArray
    options: IntArray


class BlockIndex:
    """Blocks with all ways to run them, as arrays of indices.

    A way is a sum of runs, each a layer with a placement; a part is the least of its options, a partition the sum of
    its parts, a block the least of its partitions (:data:`cost_models.mapping.block.Partition`). Of options
    differing in the height of their bands alone, only the one of fewest bands that fit is priced: whatever tiles fit
    lower bands fit these, and they are set up and drained least often. Lower bands are faster now and then, by a few
    percent. Where all maps stay whole, no other way is priced: it moves the same or more, by ports that are no faster.

    Attributes:
        blocks: [K], in the order given.
        runs: [R] what is priced.
    """

    def __init__(self, blocks: Sequence[Block]) -> None:
        self.blocks = tuple(blocks)
        numbers: dict[Run, int] = {}
        run_entries: list[tuple[int, ...]] = []
        part_entries: list[tuple[int, ...]] = []
        groupings: list[int] = []
        for row, block in enumerate(self.blocks):
            for number, partition in enumerate(partitions_of(block)):
                for place, (layers, options) in enumerate(partition):
                    part_entries.append((row, number, place, len(part_entries)))
                    # Options that differ in their bands alone follow each other, the highest bands first.
                    alike = [
                        [*some] for _, some in groupby(options, lambda option: [run.group_layers for run in option])
                    ]
                    groupings.append(len(alike))
                    run_entries += [
                        (len(groupings) - 1, grouping, bands, layer, numbers.setdefault(run, len(numbers)))
                        for grouping, some in enumerate(alike)
                        for bands, option in enumerate(some)
                        for layer, run in enumerate(zip(layers, option, strict=True))
                    ]
        self.runs: tuple[Run, ...] = tuple(numbers)
        # Behind the runs: one that costs nothing and one that is never legal; behind the parts, one of either.
        nothing, parts = len(numbers), len(part_entries)
        run_entries += [(parts + extra, 0, 0, 0, nothing + extra) for extra in range(2)]
        # [parts, groupings, bands, layers] numbers of runs, and [K, partitions, parts] numbers of parts.
        self._runs = _padded(run_entries, nothing)
        self._parts = _padded(part_entries, parts)
        # [parts] the block of each, and whether it is of the last partition.
        last = self._parts.shape[1] - 1
        self._block, numbers_of_partitions, *_ = np.array([*part_entries, *[(0, last, 0, 0)] * 2]).T
        self._is_last = numbers_of_partitions == last
        # [parts, groupings, 1] where all layers run together, which keeps as many maps as any.
        self._together = (np.arange(self._runs.shape[1]) + 1 == np.array([*groupings, 0, 0])[:, None])[..., None]

    def price(
        self,
        accelerators: AcceleratorColumns,
        board: Board,
        coefficients: Coefficients,
        wanted: BoolArray | None = None,
    ) -> BlockTable:
        """Price blocks on accelerators, every way to run each.

        Args:
            accelerators: A of them.
            wanted: [K, A] which blocks to price on which accelerators; None for all.
        """
        columns = np.arange(len(accelerators))
        wanted = np.ones((len(self.blocks), len(columns)), dtype=bool) if wanted is None else wanted
        tried, bands = self._tried(wanted, accelerators)
        places = np.ogrid[: len(tried), : tried.shape[1]]
        # [parts, groupings, A, layers] numbers of the runs that are tried.
        runs = self._runs[places[0][..., None], places[1][..., None], bands]
        wanted_runs = np.zeros((len(self.runs) + 2, len(columns)), dtype=bool)
        wanted_runs[runs[tried], np.nonzero(tried)[2][:, None]] = True
        layers, placements = zip(*self.runs, strict=True)
        table = price_layers(layers, accelerators, board, coefficients, wanted_runs[:-2], placements)
        extra = np.repeat([[0.0], [np.inf]], len(columns), axis=1)
        costs = np.stack([np.vstack([cost, extra]) for cost in (table.latency_cycles, table.energy_mj)])
        of_parts = np.where(tried, costs[:, runs, columns[:, None]].sum(axis=-1), np.inf)
        grouping = of_parts[0].argmin(axis=1)
        of_parts = np.take_along_axis(of_parts, grouping[None, :, None], axis=2)[:, :, 0]
        of_partitions = of_parts[:, self._parts].sum(axis=3)
        partitions = of_partitions[0].argmin(axis=1)
        latency_cycles, energy_mj = np.take_along_axis(of_partitions, partitions[None, :, None], axis=2)[:, :, 0]
        options = np.stack([grouping, np.take_along_axis(bands, grouping[:, None], axis=1)[:, 0]])
        return BlockTable(
            latency_cycles=latency_cycles,
            energy_mj=energy_mj,
            candidates=table.candidates,
            partitions=partitions,
            options=options,
        )

    def option(self, table: BlockTable, block: int, accelerator: int) -> Option:
        """Return the placements of the layers of a block as a table of this index has it run on an accelerator."""
        parts = self._parts[block, table.partitions[block, accelerator]]
        grouping, bands = table.options[:, parts, accelerator]
        runs = self._runs[parts, grouping, bands].ravel()
        return tuple(self.runs[run][1] for run in runs if run < len(self.runs))

    def _tried(self, wanted: BoolArray, accelerators: AcceleratorColumns) -> tuple[BoolArray, IntArray]:
        """Return [parts, groupings, A] whether one is priced for the wanted blocks, and the place of its bands."""
        options = self._fits(accelerators)[self._runs].all(axis=3)
        bands = options.argmax(axis=2)
        used = wanted[self._block]
        used[-2] = True  # the part that is nothing
        fits: BoolArray = options.any(axis=2) & used[:, None]
        whole = (fits & self._together & (bands == 0)).any(axis=1)
        fits &= self._together | ~whole[:, None]
        # The last partition keeps most; where it keeps all of it whole, the others are not tried.
        decided = whole[self._parts[:, -1]].all(axis=1)
        fits &= (self._is_last[:, None] | ~decided[self._block])[:, None]
        return fits, bands

    def _fits(self, accelerators: AcceleratorColumns) -> BoolArray:
        """Return [R + 2, A] whether each half of the map memory holds the ring that a run reads or writes there."""
        fits = np.ones((len(self.runs) + 2, len(accelerators)), dtype=bool)
        rings = [
            [
                (layer.in_channels, layer.in_width * placement.ifmap_ring),
                (layer.out_channels, layer.out_width * placement.ofmap_ring),
            ]
            for layer, placement in self.runs
        ]
        channels, pixels = np.array(rings).T[..., None]
        lines = pixels * -(-channels // accelerators.axi_bytes // accelerators.map_banks)
        fits[:-2] = (lines <= accelerators.map_depth).all(axis=0)
        fits[-1] = False
        return fits


def _padded(entries: list[tuple[int, ...]], nothing: int) -> IntArray:
    """Return an array of numbers at their places, which stand before them in each entry.

    Elsewhere it is ``nothing``, or the number behind that where even the first along the last axis is missing.
    """
    *places, numbers = np.array(entries).T
    padded = np.full([place.max() + 1 for place in places], nothing)
    padded[..., 0] = nothing + 1
    padded[tuple(places)] = numbers
    return padded


def best_placements(
    workload: Workload, accelerator: Accelerator, board: Board, coefficients: Coefficients
) -> dict[str, Placement]:
    """Return the placement of each node that is in a block of a network, for the blocks' least latency.

    Left out are blocks that have no legal mapping on the accelerator.
    """
    found = find_blocks(workload.graph) if accelerator.map_kib else []
    if not found:
        return {}
    index = BlockIndex(tuple(dict.fromkeys(block for _, block in found)))
    table = index.price(AcceleratorColumns.of([accelerator]), board, coefficients)
    placements: dict[str, Placement] = {}
    for names, block in found:
        row = index.blocks.index(block)
        if np.isfinite(table.latency_cycles[row, 0]):
            placements |= zip(names, index.option(table, row, 0), strict=True)
    return placements


def fallbacks(workload: Workload, placements: Mapping[str, Placement], accelerator: Accelerator) -> list[str]:
    """Return a sentence for each block of which no map stays on chip: what it takes, or that it is not faster.

    ``placements`` are those of the nodes by name; nodes without one run from memory to memory.
    """
    sentences = []
    for names, block in find_blocks(workload.graph):
        if not any(placements.get(name, IN_MEMORY).ofmap_ring for name in names):
            needs_kib = (
                max(
                    kept_kib(layer.out_channels, layer.out_width * placement.ofmap_ring, accelerator)
                    for layer, placement in zip(layers, option, strict=True)
                )
                for partition in partitions_of(block)
                for layers, options in partition
                for option in options
            )
            least_kib = min(filter(None, needs_kib))
            held = f"map_kib is {accelerator.map_kib}, {least_kib} would do"
            reason = held if least_kib > accelerator.map_kib else "no way to keep its maps on chip is faster"
            sentences.append(f"{names[0]} to {names[-1]} run layer by layer: {reason}")
    return sentences
