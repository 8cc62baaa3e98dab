"""The best way to run each of many blocks on each of many accelerators: what stays on chip, and in which bands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from cost_models.closed_form.layer_table import price_layers
from cost_models.coefficients import Coefficients
from cost_models.mapping.block import Block, Option, find_blocks, partitions_of
from cost_models.mapping.placement import IN_MEMORY, Placement, kept_kib
from cost_models.workload import Layer, Workload
from hw_templates.board import Board
from hw_templates.conv_engine.accelerator import Accelerator, AcceleratorColumns
from hw_templates.foundation.arrays import BoolArray, FloatArray, IntArray

Run = tuple[Layer, Placement]


@dataclass(frozen=True)
class BlockTable:
    """Blocks priced on accelerators, each run in the way of least latency.

    Attributes:
        latency_cycles, energy_mj: [K, A]; inf where a layer has no legal mapping.
        candidates: number of legal (layer, accelerator, placement, mapping) candidates there are.
        chosen: [K, A] which way, as :meth:`BlockIndex.option` reads it.
    """

    latency_cycles: FloatArray
    energy_mj: FloatArray
    candidates: int
    chosen: IntArray


def map_words(channels: IntArray, pixels: IntArray, accelerators: AcceleratorColumns) -> IntArray:
    """Return [n, A] words that maps of these channels and pixels [n] take in each bank of the map memory."""
    words = -(-channels[:, None] // accelerators.axi_bytes)
    lines: IntArray = pixels[:, None] * -(-words // accelerators.map_banks)
    return lines


class BlockIndex:
    """Blocks with all ways to run them, as arrays of indices.

    A way is a sum of runs, each a layer with a placement; a part is the least of its options, a partition the sum of
    its parts, a block the least of its partitions (:class:`cost_models.mapping.block.Partition`). Of options
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
        self._options: list[tuple[Option, ...]] = []
        part_runs: list[list[list[int]]] = []
        block_parts: list[list[list[int]]] = []
        for block in self.blocks:
            block_parts.append([])
            for partition in partitions_of(block):
                first = len(part_runs)
                for part, layers in partition.parts_of(block):
                    runs = ([*zip(layers, option, strict=True)] for option in part)
                    part_runs.append([[numbers.setdefault(run, len(numbers)) for run in option] for option in runs])
                    self._options.append(part)
                block_parts[-1].append([*range(first, len(part_runs))])
        self.runs: tuple[Run, ...] = tuple(numbers)
        # Behind the runs: one that costs nothing and one that is never legal; behind the parts, one of either.
        nothing, never = len(numbers), len(numbers) + 1
        # [parts, options, runs] numbers of runs, and [K, partitions, parts] numbers of parts.
        self._part_runs = _padded([*part_runs, [[nothing]], [[never]]], nothing, never)
        self._block_parts = _padded(block_parts, len(part_runs), len(part_runs) + 1)
        self._option_runs = _incidence(self._part_runs, never + 1)[:, :nothing]
        # [parts, options] which options differ in their bands alone: those of equal numbers, the highest bands first.
        self._structures = np.zeros(self._part_runs.shape[:2], dtype=np.int64)
        for row, part in zip(self._structures, self._options, strict=False):
            structures: dict[tuple[tuple[bool, bool, int], ...], int] = {}
            for place, option in enumerate(part):
                row[place] = structures.setdefault(_structure(option), len(structures))
        # [parts, options] the option of a part that keeps as many maps as any, and these whole.
        self._whole = np.zeros(self._part_runs.shape[:2], dtype=bool)
        for marks, part in zip(self._whole, self._options, strict=False):
            most = max(_kept(option) for option in part)
            marks[: len(part)] = [
                _kept(option) == most and all(len(run.bands) <= 1 for run in option) for option in part
            ]

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
        wanted = np.ones((len(self.blocks), len(accelerators)), dtype=bool) if wanted is None else wanted
        tried = self._tried(wanted, accelerators)
        wanted_runs = self._option_runs.T @ tried.reshape(-1, len(accelerators)).astype(np.int64) > 0
        layers, placements = [layer for layer, _ in self.runs], [placement for _, placement in self.runs]
        table = price_layers(layers, accelerators, board, coefficients, wanted_runs, placements)
        cycles, energy = (
            np.concatenate([costs, np.zeros((1, len(accelerators))), np.full((1, len(accelerators)), np.inf)])
            for costs in (table.latency_cycles, table.energy_mj)
        )
        part_cycles = np.where(tried, cycles[self._part_runs].sum(axis=2), np.inf)
        option = part_cycles.argmin(axis=1)
        part_cycles = np.take_along_axis(part_cycles, option[:, None], axis=1)[:, 0]
        part_energy = np.take_along_axis(energy[self._part_runs].sum(axis=2), option[:, None], axis=1)[:, 0]
        partition_cycles = part_cycles[self._block_parts].sum(axis=2)
        partition = partition_cycles.argmin(axis=1)
        rows, columns = np.arange(len(self.blocks))[:, None], np.arange(len(accelerators))
        chosen = np.zeros_like(partition)
        for parts in np.moveaxis(self._block_parts[rows, partition], 2, 0):
            chosen = chosen * self._part_runs.shape[1] + option[parts, columns]
        chosen = chosen * self._block_parts.shape[1] + partition
        energies = part_energy[self._block_parts].sum(axis=2)
        return BlockTable(
            latency_cycles=np.take_along_axis(partition_cycles, partition[:, None], axis=1)[:, 0],
            energy_mj=np.take_along_axis(energies, partition[:, None], axis=1)[:, 0],
            candidates=table.candidates,
            chosen=chosen,
        )

    def option(self, block: int, chosen: int) -> Option:
        """Return the placements of the layers of a block for an entry of :attr:`BlockTable.chosen`."""
        chosen, partition = divmod(chosen, self._block_parts.shape[1])
        placements: Option = ()
        for part in reversed(self._block_parts[block, partition]):
            chosen, row = divmod(chosen, self._part_runs.shape[1])
            if part < len(self._options):
                placements = (*self._options[part][row], *placements)
        return placements

    def _tried(self, wanted: BoolArray, accelerators: AcceleratorColumns) -> BoolArray:
        """Return [parts, options, A] which options are priced for the wanted blocks."""
        parts, options, _ = self._part_runs.shape
        used = np.zeros((parts, wanted.shape[1]), dtype=bool)
        used[-2] = True  # the part that is nothing
        for numbers in self._block_parts.reshape(len(self.blocks), -1).T:
            used[numbers] |= wanted
        run_fits = np.ones((len(self.runs) + 2, wanted.shape[1]), dtype=bool)
        run_fits[: len(self.runs)] = self._fits(accelerators)
        run_fits[-1] = False
        fits: BoolArray = run_fits[self._part_runs].all(axis=2) & used[:, None]
        whole = (fits & self._whole[:, :, None]).any(axis=1)
        fits &= self._whole[:, :, None] | ~whole[:, None]
        # The last partition keeps most; where it keeps all of it whole, the others are not tried.
        for parts_of_partitions in self._block_parts:
            decided = whole[parts_of_partitions[-1]].all(axis=0)
            others = parts_of_partitions[:-1]
            fits[others[others < len(self._options)]] &= ~decided
        found = np.zeros_like(fits)
        rows = np.arange(parts)
        for option in range(options):
            structure = self._structures[:, option]
            fits[:, option] &= ~found[rows, structure]
            found[rows, structure] |= fits[:, option]
        return fits

    def _fits(self, accelerators: AcceleratorColumns) -> BoolArray:
        """Return [R, A] whether each half of the map memory holds the ring that a run reads or writes there."""
        fits = np.ones((len(self.runs), len(accelerators)), dtype=bool)
        shapes = np.array(
            [
                (
                    *(layer.in_channels, layer.in_width * placement.ifmap_ring),
                    *(layer.out_channels, layer.out_width * placement.ofmap_ring),
                )
                for layer, placement in self.runs
            ],
            dtype=np.int64,
        ).reshape(-1, 4)
        for channels, pixels in (shapes[:, :2].T, shapes[:, 2:].T):
            fits &= map_words(channels, pixels, accelerators) <= accelerators.map_depth
        return fits


def _structure(option: Option) -> tuple[tuple[bool, bool, int], ...]:
    """Return which maps an option keeps on chip and which layers it runs together, whatever its bands."""
    return tuple((run.ifmap_ring > 0, run.ofmap_ring > 0, run.group_layers) for run in option)


def _kept(option: Option) -> int:
    """Return the number of maps that an option keeps on chip, its input and output included."""
    return sum((run.ifmap_ring > 0) + (run.ofmap_ring > 0) for run in option)


def _incidence(part_runs: IntArray, runs: int) -> sparse.csr_array:
    """Return [options, runs] which runs each option of each part has."""
    options, width = part_runs.shape[0] * part_runs.shape[1], part_runs.shape[2]
    places = (np.repeat(np.arange(options), width), part_runs.ravel())
    return sparse.csr_array((np.ones(options * width, dtype=np.int64), places), shape=(options, runs))


def _padded(groups: list[list[list[int]]], nothing: int, never: int) -> IntArray:
    """Return [groups, rows, numbers] of lists: rows filled up with ``nothing``, missing rows with ``never``."""
    shape = (max(map(len, groups), default=1), max((len(row) for rows in groups for row in rows), default=1))
    padded = np.full((len(groups), *shape), nothing, dtype=np.int64)
    padded[:, :, 0] = never
    for group, rows in zip(padded, groups, strict=True):
        for row, numbers in zip(group, rows, strict=False):
            row[: len(numbers)] = numbers
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
    rows = {block: row for row, block in enumerate(index.blocks)}
    placements: dict[str, Placement] = {}
    for names, block in found:
        row = rows[block]
        if np.isfinite(table.latency_cycles[row, 0]):
            placements |= zip(names, index.option(row, int(table.chosen[row, 0])), strict=True)
    return placements


def fallbacks(workload: Workload, placements: Mapping[str, Placement], accelerator: Accelerator) -> list[str]:
    """Return a sentence for each block of which no map stays on chip: what it takes, or that it is not faster.

    ``placements`` are those of the nodes by name; nodes without one run from memory to memory.
    """
    sentences = []
    for names, block in find_blocks(workload.graph):
        if not any(placements.get(name, IN_MEMORY).ofmap_ring for name in names):
            least_kib = min(
                max(
                    kept_kib(layer.out_channels, layer.out_width * placement.ofmap_ring, accelerator)
                    for layer, placement in zip(layers, option, strict=True)
                )
                for partition in partitions_of(block)
                for part, layers in partition.parts_of(block)
                for option in part
                if any(placement.ofmap_ring for placement in option)
            )
            held = f"map_kib is {accelerator.map_kib}, {least_kib} would do"
            reason = held if least_kib > accelerator.map_kib else "no way to keep its maps on chip is faster"
            sentences.append(f"{names[0]} to {names[-1]} run layer by layer: {reason}")
    return sentences
