"""Cycles of a layer in closed form, for arrays of tilings x accelerators.

The engine runs a layer's steps through load, compute and store in lock step (see ``hw_templates/conv_engine``): slot i
loads tile i, computes tile i-1 and stores what tile i-2 finished, and lasts as long as the slowest of the three or as
the DDR needs for the words of all ports. This is the pipeline of Zhang et al., "Optimizing FPGA-based accelerator
design for deep convolutional neural networks" (FPGA 2015), with the slots of unlike tiles counted apart.

Steps follow each other in passes of the innermost loop that has more than one tile. A pass has four kinds of slots: the
first, in which the last tile of the pass before is still computed; the second, in which that tile is stored; those in
the middle; and the last, whose load is that of a last tile. Passes differ with the class (body, last) of the tiles of
the outer loops. The first two slots of a layer and two more after its last step are the fill and drain of the pipeline.

A map in the map memory moves a line a cycle and waits for neither a port nor the DDR; its loop fills like that of the
computation. A layer that runs band by band is a layer for each band.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cost_models.coefficients import LatencyCoefficients
from cost_models.layer_columns import LayerColumns
from cost_models.tiling import BODY, LAST, Array, ChannelTiling, Engine, PixelTile, PixelTiling
from cost_models.visits import RELOADS_IFMAP, RELOADS_WEIGHTS, Inside, Line, PixelTiles, Visit
from hw_templates import isa
from hw_templates.board import Board

# Parameters and table.
RUN_BURSTS = 2


@dataclass(frozen=True)
class Timing:
    """What one port and the DDR take to move words, [A] or a number."""

    access: float
    burst: float
    slot: float
    pipeline: float
    layer: float
    ddr_cycles_per_word: Array
    ddr_cycles_per_weight_word: Array

    def take(self, accelerators: Array) -> "Timing":
        """The timing of each of some candidates, given by the index of its accelerator."""
        return replace(
            self,
            ddr_cycles_per_word=self.ddr_cycles_per_word.ravel()[accelerators],
            ddr_cycles_per_weight_word=self.ddr_cycles_per_weight_word.ravel()[accelerators],
        )

    @classmethod
    def of(cls, engine: Engine, board: Board, coefficients: LatencyCoefficients) -> "Timing":
        """The timing of engines on a board."""
        bytes_per_us = board.ddr.plan_gb_s * 1e3 * coefficients.ddr_efficiency
        return cls(
            access=coefficients.access_latency_cycles,
            burst=coefficients.burst_overhead_cycles,
            slot=coefficients.slot_overhead_cycles,
            pipeline=coefficients.pipeline_depth_cycles,
            layer=coefficients.layer_overhead_cycles,
            ddr_cycles_per_word=(engine.word * engine.clock_mhz / bytes_per_us).astype(engine.word.dtype),
            ddr_cycles_per_weight_word=(engine.weight_word * engine.clock_mhz / bytes_per_us).astype(engine.word.dtype),
        )


@dataclass(frozen=True)
class Work:
    """What a stage does in a slot.

    Attributes:
        cycles: how long it takes, less the access latency that every slot begins with.
        ddr_cycles: how long the DDR takes for its words (None: it moves none).
    """

    cycles: Array
    ddr_cycles: Array | None

    def where(self, condition: Array, other: "Work") -> "Work":
        """This one where the condition holds, else the other."""
        cycles = np.where(condition, self.cycles, other.cycles)
        if self.ddr_cycles is None or other.ddr_cycles is None:
            return Work(cycles, None)
        return Work(cycles, np.where(condition, self.ddr_cycles, other.ddr_cycles))

    @property
    def slot(self) -> Array:
        """Cycles of a slot that holds just this."""
        return self.cycles if self.ddr_cycles is None else np.maximum(self.cycles, self.ddr_cycles)


def beside(*works: Work | None) -> Work:
    """All of these in the same slot, on different ports."""
    present = [work for work in works if work is not None]
    cycles, ddr_cycles = present[0].cycles, present[0].ddr_cycles
    for work in present[1:]:
        cycles = np.maximum(cycles, work.cycles)
        if work.ddr_cycles is not None:
            ddr_cycles = work.ddr_cycles if ddr_cycles is None else ddr_cycles + work.ddr_cycles
    return Work(cycles, ddr_cycles)


class Stages:
    """Times of the three stages of one layer, by classes of tiles, for candidates that share a :class:`Visit`."""

    def __init__(
        self, layers: LayerColumns, timing: Timing, visit: Visit, channels: ChannelTiling, candidates: NDArray[np.intp]
    ) -> None:
        self.visit = visit
        self.dense = layers.dense
        # An ifmap tile of all channels lies together in memory.
        self.whole_in = visit.inside != Inside.INPUTS if self.dense else visit.single_out
        self._timing = timing
        self._residual = layers.residual
        self._reads_map, self._writes_map = layers.reads_map, layers.writes_map
        self._loads_weights = not layers.operation.is_pool
        self.out_classes = (LAST,) if visit.single_out else (BODY, LAST)
        self.in_classes = (BODY, LAST) if visit.inside == Inside.INPUTS else (LAST,)
        pairs = [(m, n) for m in self.out_classes for n in self.in_classes]
        self._products = {(m, n): np.take(channels.outputs.at(m) * channels.inputs.at(n), candidates) for m, n in pairs}
        self._weights = {pair: np.take(channels.weight_words[pair], candidates) for pair in pairs}
        self._out_words = {m: np.take(channels.out_words.at(m), candidates) for m in self.out_classes}
        edges = self.in_classes if self.dense else self.out_classes
        self._in_words = {edge: np.take(channels.in_words.at(edge), candidates) for edge in edges}
        self.out_count = np.take(channels.outputs.count, candidates)
        self.in_count = np.take(channels.inputs.count, candidates)
        self.out_repeats = [(m, 1 if m == LAST else self.out_count - 1) for m in self.out_classes]

    def _kept(self, lines: Array) -> Work:
        return Work(lines + (self._timing.pipeline - self._timing.access), None)

    def _transfer(self, words: Array, bursts: Array | int) -> Work:
        return Work(words + self._timing.burst * bursts, words * self._timing.ddr_cycles_per_word)

    def load(self, m: int, n: int, pixels: PixelTile | None, with_weights: bool) -> Work:
        """What a step with channels of classes m and n loads: the ifmap tile, the weights (one burst), or both."""
        ifmap = weights = None
        if pixels is not None:
            words = self._in_words[n if self.dense else m] * pixels.area
            ifmap = self._kept(words) if self._reads_map else self._transfer(words, pixels.in_bursts)
        if with_weights and self._loads_weights:
            words = self._weights[m, n]
            weights = Work(words + self._timing.burst, words * self._timing.ddr_cycles_per_weight_word)
        return beside(ifmap, weights)

    def compute(self, m: int, n: int, pixels: PixelTile) -> Work:
        """One trip a cycle after the pipeline has filled; while a tile is finished, its residual is read beside."""
        cycles = self._products[m, n] * pixels.trips + (self._timing.pipeline - self._timing.access)
        trips = Work(cycles, None)
        return beside(trips, self.store(m, pixels)) if self._residual and n == LAST else trips

    def store(self, m: int, pixels: PixelTile) -> Work:
        """Results of a tile."""
        words = self._out_words[m] * pixels.outputs
        return self._kept(words) if self._writes_map else self._transfer(words, pixels.out_bursts)

    def overhead(self, steps: Any) -> Any:
        """What the slots of so many steps begin with: starting and joining the stages, and the access latency."""
        return (steps + 2) * (self._timing.slot + self._timing.access)


@dataclass(frozen=True)
class Pass:
    """One pass of the inner loop, for one class of the outer loops.

    Attributes:
        repeats: how many passes there are.
        count: steps of a pass, two or more.
        first, middle, last: loads of the first, a middle and the last step.
        compute: of a step that is not the last.
        others: what is computed and stored in each slot after the second.
        left: what is left of the pass in the two slots that follow it.
    """

    repeats: Array | int
    count: Array
    first: Work
    middle: Work
    last: Work
    compute: Work
    others: Work
    left: tuple[Work, Work]

    @cached_property
    def second(self) -> Work:
        """Load and computation of the second slot: the load is that of a last step where there are two."""
        return beside(self.last.where(self.count == 2, self.middle), self.compute)

    def opening(self, before: "Pass") -> Array:
        """Cycles of the first two slots after another pass."""
        return beside(self.first, before.left[0]).slot + beside(self.second, before.left[1]).slot

    @property
    def rest(self) -> Array:
        """Cycles of all slots after the second."""
        middle = np.maximum(self.count - 3, 0) * beside(self.middle, self.others).slot
        return middle + (self.count > 2) * beside(self.last, self.others).slot


# Passes that follow each other, and how often the whole sequence is run.
Sequence = tuple["Array | int", list[Pass]]


def _layer_cycles(stages: Stages, sequences: list[Sequence], first_load: Work) -> Array:
    """All slots of a layer: the passes, the two slots that fill the pipeline and the two that drain it.

    What is absent (zero times) must come first, or hold the same values as what stands before it.
    """
    total: Any = first_load.slot + sequences[0][1][0].second.slot
    steps: Any = 0
    before: Pass | None = None
    for times, passes in sequences:
        if not isinstance(times, int):
            total = total + np.maximum(times - 1, 0) * passes[0].opening(passes[-1])
        if before is not None:
            total = total + ((steps > 0) & (times > 0)) * passes[0].opening(before)
        sequence: Any = 0
        count: Any = 0
        for one, previous in zip(passes, [None, *passes[:-1]], strict=True):
            sequence = sequence + one.repeats * one.rest
            count = count + one.repeats * one.count
            if previous is not None:
                sequence = sequence + (one.repeats > 0) * one.opening(previous)
            if not isinstance(one.repeats, int):
                sequence = sequence + np.maximum(one.repeats - 1, 0) * one.opening(one)
        total = total + times * sequence
        steps = steps + times * count
        before = passes[-1]
    last, drained = sequences[-1][1][-1].left
    total = total + last.slot + drained.slot + stages.overhead(steps)
    cycles: Array = total
    return cycles


def _single_step(stages: Stages, pixels: PixelTiles) -> Array:
    """Everything fits one tile."""
    tile = pixels.first
    load = stages.load(LAST, LAST, tile, with_weights=True)
    stored = stages.store(LAST, tile)
    cycles: Array = load.slot + stages.compute(LAST, LAST, tile).slot + stored.slot + stages.overhead(1)
    return cycles


def _channels_inside(stages: Stages, pixels: PixelTiles) -> Array:
    """Nn = 1 and Nm > 1, pixels outside: weights change in every step; a dense ifmap only when a pass begins."""

    def one_pass(repeats: Array | int, tile: PixelTile) -> Pass:
        changing = None if stages.dense else tile
        compute, store = stages.compute(BODY, LAST, tile), stages.store(BODY, tile)
        return Pass(
            repeats=repeats,
            count=stages.out_count,
            first=stages.load(BODY, LAST, tile, with_weights=True),
            middle=stages.load(BODY, LAST, changing, with_weights=True),
            last=stages.load(LAST, LAST, changing, with_weights=True),
            compute=compute,
            others=beside(compute, store),
            left=(beside(stages.compute(LAST, LAST, tile), store), stages.store(LAST, tile)),
        )

    first_load = stages.load(BODY, LAST, pixels.first, with_weights=True)
    sequences = [(times, [one_pass(*tiles) for tiles in row]) for times, row in pixels.outer()]
    return _layer_cycles(stages, sequences, first_load)


def _pixels_inside(stages: Stages, pixels: PixelTiles) -> Array:
    """Nn = 1, pixels inside: the ifmap changes in every step, weights when the first line of tiles begins."""

    def one_pass(m: int, line: Line) -> Pass:
        first, middle, last = line.tiles
        compute, store = stages.compute(m, LAST, middle), stages.store(m, middle)
        return Pass(
            repeats=line.repeats,
            count=line.count,
            first=stages.load(m, LAST, first, with_weights=line.is_first and not stages.visit.single_out),
            middle=stages.load(m, LAST, middle, with_weights=False),
            last=stages.load(m, LAST, last, with_weights=False),
            compute=compute,
            others=beside(compute, store),
            left=(beside(stages.compute(m, LAST, last), store), stages.store(m, last)),
        )

    first_load = stages.load(stages.out_classes[0], LAST, pixels.first, with_weights=True)
    lines = pixels.lines()
    sequences = [(times, [one_pass(m, line) for line in lines]) for m, times in stages.out_repeats]
    return _layer_cycles(stages, sequences, first_load)


def _inputs_inside(stages: Stages, pixels: PixelTiles) -> Array:
    """Nn > 1: both tiles change in every step; results are stored after the last input channels."""

    def one_pass(m: int, repeats: Array | int, tile: PixelTile) -> Pass:
        load, compute = stages.load(m, BODY, tile, with_weights=True), stages.compute(m, BODY, tile)
        return Pass(
            repeats=repeats,
            count=stages.in_count,
            first=load,
            middle=load,
            last=stages.load(m, LAST, tile, with_weights=True),
            compute=compute,
            others=compute,
            left=(stages.compute(m, LAST, tile), stages.store(m, tile)),
        )

    sequences = [
        (times, [one_pass(m, across * repeats, tile) for across, tile in row for m, repeats in stages.out_repeats])
        for times, row in pixels.outer()
    ]
    return _layer_cycles(stages, sequences, stages.load(stages.out_classes[0], BODY, pixels.first, with_weights=True))


def setup_words(layers: LayerColumns, engine: Engine, runs: Array | int = 1) -> Array:
    """Words of the weight port: the descriptor, and channel parameters and activation table for each run."""
    parameters = np.ceil(layers.out_channels / engine.word) * engine.word * isa.CHANNEL_PARAMETERS.itemsize
    words: Array = (runs * (parameters + isa.TABLE_BYTES) + isa.DESCRIPTOR.itemsize) / engine.weight_word
    return words


def setup_cycles(layers: LayerColumns, engine: Engine, timing: Timing, runs: Array | int = 1) -> Array:
    """What a layer takes before the first slot of its runs."""
    bursts = runs * RUN_BURSTS + 1
    overhead = runs * timing.layer + bursts * (timing.access + timing.burst)
    cycles: Array = setup_words(layers, engine, runs) * np.maximum(1, timing.ddr_cycles_per_weight_word) + overhead
    return cycles


def slot_cycles(
    layers: LayerColumns,
    timing: Timing,
    visit: Visit,
    channels: tuple[ChannelTiling, NDArray[np.intp]],
    pixels: tuple[PixelTiling, NDArray[np.intp]],
) -> Array:
    """[candidates] cycles of layers without their setup.

    A candidate is a pair of a channel and a pixel tiling, each given with flat indices into its arrays. All must be of
    the given ``visit``, and ``timing`` must be that of each candidate's accelerator.
    """
    stages = Stages(layers, timing, visit, *channels)
    calculation = {
        Inside.NONE: _single_step,
        Inside.INPUTS: _inputs_inside,
        Inside.CHANNELS: _channels_inside,
        Inside.PIXELS: _pixels_inside,
    }[visit.inside]
    return calculation(stages, PixelTiles(pixels[0], visit, stages.whole_in, visit.single_out, pixels[1]))


def least_slot_cycles(
    layers: LayerColumns,
    timing: Timing,
    numbers: NDArray[np.int8],
    channels: tuple[ChannelTiling, NDArray[np.intp]],
    pixels: tuple[PixelTiling, NDArray[np.intp]],
) -> Array:
    """[candidates] cycles that :func:`slot_cycles` cannot go below, for little work; ``numbers`` index ``VISITS``.

    Every step has its slot, and together the slots last as long as all computation, as all that any port moves, and as
    all words need that pass the DDR. Bursts count where each pixel is one.
    """
    (cut, chosen), (tiles, places) = channels, pixels
    m, n, tile_count = cut.outputs.count, cut.inputs.count, np.multiply(*tiles.counts)
    steps = np.take(m * n, chosen) * np.take(tile_count, places)
    trips = np.take(cut.outputs.total * cut.inputs.total, chosen) * np.take(tiles.all_trips, places)
    again_m = np.where(RELOADS_IFMAP[numbers] & layers.dense, np.take(m, chosen), 1)
    again_pixels = np.where(RELOADS_WEIGHTS[numbers], np.take(tile_count, places), 1)
    area, outputs = np.take(tiles.area, places), np.take(tiles.all_outputs, places)
    parts = n if layers.dense else m
    ifmap_words = np.take(cut.in_words.total, chosen) * area * again_m
    in_bursts = np.take(np.where(parts > 1, parts, 0), chosen) * area * again_m
    weight_words = np.take(cut.all_weight_words, chosen) * again_pixels
    ofmap_words = np.take(cut.out_words.total, chosen) * outputs
    out_bursts = np.take(np.where(m > 1, m, 0), chosen) * outputs
    words = (0 if layers.reads_map else ifmap_words) + (0 if layers.writes_map else ofmap_words)
    words = words + ofmap_words if layers.residual else words
    ddr_cycles = words * timing.ddr_cycles_per_word + weight_words * timing.ddr_cycles_per_weight_word
    # A slot in which no port moves anything begins without the access latency.
    access = min(timing.access, timing.pipeline) if layers.reads_map or layers.writes_map else timing.access
    least = np.maximum(trips + (timing.pipeline - access) * steps, ddr_cycles)
    least = np.maximum(least, ifmap_words + (0 if layers.reads_map else timing.burst * in_bursts))
    least = np.maximum(least, ofmap_words + (0 if layers.writes_map else timing.burst * out_bursts))
    least = np.maximum(least, weight_words)
    cycles: Array = least + (steps + 2) * (timing.slot + access)
    return cycles
