"""Cycles of a layer in closed form, for arrays of tilings x accelerators.

The engine runs a layer's steps through load, compute and store in lock step (see ``hw_templates/conv_engine``): slot i
loads tile i, computes tile i-1 and stores what tile i-2 finished, and lasts as long as the slowest of the three or as
the DDR needs for the words of all ports. This is the pipeline of Zhang et al., "Optimizing FPGA-based accelerator
design for deep convolutional neural networks" (FPGA 2015), with the slots of unlike tiles counted apart.

Steps follow each other in passes of the innermost loop that has more than one tile. A pass has four kinds of slots: the
first, in which the last tile of the pass before is still computed; the second, in which that tile is stored; those in
the middle; and the last, whose load is that of a last tile. Passes differ with the class (body, last) of the tiles of
the outer loops. The first two slots of a layer and two more after its last step are the fill and drain of the pipeline.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from cost_models.coefficients import LatencyCoefficients
from cost_models.tiling import (
    BODY,
    LAST,
    Array,
    ChannelTiling,
    Engine,
    Inside,
    Line,
    PixelTile,
    PixelTiles,
    PixelTiling,
    Visit,
)
from cost_models.workload import Layer, Operation
from hw_templates.board import Board

DESCRIPTOR_BYTES = 32 * 4
PARAMETER_BYTES = 8
TABLE_BYTES = 256
SETUP_BURSTS = 3


@dataclass(frozen=True)
class Timing:
    """What one port and the DDR take to move words, [A] or a number."""

    access: float
    burst: float
    slot: float
    pipeline: float
    layer: float
    ddr_cycles_per_word: Array

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
        )


@dataclass(frozen=True)
class Transfer:
    """Work of a stage in a slot: its cycles, and the words it moves through the DDR (None: none)."""

    cycles: Array
    words: Array | None

    def where(self, condition: Array, other: "Transfer") -> "Transfer":
        """This one where the condition holds, else the other."""
        words = None if self.words is None or other.words is None else np.where(condition, self.words, other.words)
        return Transfer(np.where(condition, self.cycles, other.cycles), words)


class Stages:
    """Times of the three stages of one layer, by classes of tiles, for candidates that share a :class:`Visit`."""

    def __init__(
        self, layer: Layer, timing: Timing, visit: Visit, channels: ChannelTiling, rows: Array | slice = slice(None)
    ) -> None:
        self.visit = visit
        self.dense = layer.operation == Operation.CONV
        self._timing = timing
        self._residual = layer.residual
        self._loads_weights = layer.operation != Operation.POOL
        # An ifmap or ofmap tile of all channels lies together in memory.
        self._whole_in = visit.inside != Inside.INPUTS if self.dense else visit.single_out
        self.out_classes = (LAST,) if visit.single_out else (BODY, LAST)
        self.in_classes = (BODY, LAST) if visit.inside == Inside.INPUTS else (LAST,)
        pairs = [(m, n) for m in self.out_classes for n in self.in_classes]
        self._products = {(m, n): (channels.outputs.at(m) * channels.inputs.at(n))[rows] for m, n in pairs}
        self._weights = {pair: channels.weight_words[pair][rows] for pair in pairs}
        self._out_words = {m: channels.out_words.at(m)[rows] for m in self.out_classes}
        edges = self.in_classes if self.dense else self.out_classes
        self._in_words = {edge: channels.in_words.at(edge)[rows] for edge in edges}
        self.out_repeats = [(m, 1 if m == LAST else channels.outputs.count[rows] - 1) for m in self.out_classes]
        self.out_count = channels.outputs.count[rows]
        self.in_count = channels.inputs.count[rows]

    def load_ifmap(self, m: int, n: int, pixels: PixelTile) -> Transfer:
        """The ifmap tile of a step with channels of classes m and n."""
        words = self._in_words[n if self.dense else m] * pixels.area
        bursts = pixels.row_bursts if self._whole_in else pixels.area
        return Transfer(words + (self._timing.access + self._timing.burst * bursts), words)

    def load_weights(self, m: int, n: int) -> tuple[Transfer, ...]:
        """The weights of a tile of classes m and n, if the layer has any; always one burst."""
        words = self._weights[m, n]
        return (Transfer(words + (self._timing.access + self._timing.burst), words),) if self._loads_weights else ()

    def compute(self, m: int, n: int, pixels: PixelTile) -> tuple[Transfer, ...]:
        """One trip a cycle after the pipeline has filled; while a tile is finished, its residual is read beside."""
        trips = Transfer(self._products[m, n] * pixels.trips + self._timing.pipeline, None)
        return (trips, *self.store(m, pixels)) if self._residual and n == LAST else (trips,)

    def store(self, m: int, pixels: PixelTile) -> tuple[Transfer, ...]:
        """Results of a tile."""
        words = self._out_words[m] * pixels.outputs
        bursts = pixels.out_bursts if self.visit.single_out else pixels.outputs
        return (Transfer(words + (self._timing.access + self._timing.burst * bursts), words),)

    def slot(self, *transfers: Transfer) -> Array:
        """Cycles of a slot that holds these."""
        cycles, words = transfers[0].cycles, transfers[0].words
        for transfer in transfers[1:]:
            cycles = np.maximum(cycles, transfer.cycles)
            if transfer.words is not None:
                words = transfer.words if words is None else words + transfer.words
        if words is None:
            return cycles
        return np.maximum(cycles, words * self._timing.ddr_cycles_per_word + self._timing.access)

    def overhead(self, steps: Any) -> Any:
        """Starting and joining the stages in the slots of so many steps."""
        return (steps + 2) * self._timing.slot


@dataclass(frozen=True)
class Pass:
    """One pass of the inner loop, for one class of the outer loops; its first load is given by the layer.

    Attributes:
        repeats: how many passes there are.
        count: steps of a pass, two or more.
        first, middle, last: loads of the first, a middle and the last step.
        compute: of a body step and of the last.
        stores: what is stored in the slot after the pass, in the second after it, and in each other slot.
    """

    repeats: Array | int
    count: Array
    first: tuple[Transfer, ...]
    middle: tuple[Transfer, ...]
    last: tuple[Transfer, ...]
    compute: tuple[tuple[Transfer, ...], tuple[Transfer, ...]]
    stores: tuple[tuple[Transfer, ...], tuple[Transfer, ...], tuple[Transfer, ...]]

    @cached_property
    def second(self) -> tuple[Transfer, ...]:
        """Load and computation of the second slot: the load is that of a last step where there are two."""
        two = self.count == 2
        loads = (last.where(two, middle) for last, middle in zip(self.last, self.middle, strict=True))
        return (*loads, *self.compute[0])

    @property
    def left(self) -> tuple[tuple[Transfer, ...], tuple[Transfer, ...]]:
        """What is left of the pass in the two slots that follow it."""
        return (*self.compute[1], *self.stores[0]), self.stores[1]

    def opening(self, stages: Stages, before: "Pass") -> Array:
        """Cycles of the first two slots after another pass."""
        first, second = before.left
        return stages.slot(*self.first, *first) + stages.slot(*self.second, *second)

    def rest(self, stages: Stages) -> Array:
        """Cycles of all slots after the second."""
        others = (*self.compute[0], *self.stores[2])
        middle = np.maximum(self.count - 3, 0) * stages.slot(*self.middle, *others)
        return middle + (self.count > 2) * stages.slot(*self.last, *others)


# Passes that follow each other, and how often the whole sequence is run.
Sequence = tuple["Array | int", list[Pass]]


def _layer_cycles(stages: Stages, sequences: list[Sequence], first_load: tuple[Transfer, ...]) -> Array:
    """All slots of a layer: the passes, the two slots that fill the pipeline and the two that drain it.

    What is absent (zero times) must come first, or hold the same values as what stands before it.
    """
    enters = sequences[0][1][0]
    total: Any = stages.slot(*first_load) + stages.slot(*enters.second)
    steps: Any = 0
    before: Pass | None = None
    for times, passes in sequences:
        total = total + np.maximum(times - 1, 0) * passes[0].opening(stages, passes[-1])
        if before is not None:
            total = total + ((steps > 0) & (times > 0)) * passes[0].opening(stages, before)
        for position, one in enumerate(passes):
            if not (isinstance(one.repeats, int) and one.repeats == 1):
                total = total + times * np.maximum(one.repeats - 1, 0) * one.opening(stages, one)
            if position > 0:
                total = total + times * (one.repeats > 0) * one.opening(stages, passes[position - 1])
            total = total + times * one.repeats * one.rest(stages)
            steps = steps + times * one.repeats * one.count
        before = passes[-1]
    last, drained = sequences[-1][1][-1].left
    return total + stages.slot(*last) + stages.slot(*drained) + stages.overhead(steps)


def _single_step(stages: Stages, pixels: PixelTiles) -> Array:
    """Everything fits one tile."""
    tile = pixels.first
    load = (stages.load_ifmap(LAST, LAST, tile), *stages.load_weights(LAST, LAST))
    total = stages.slot(*load) + stages.slot(*stages.compute(LAST, LAST, tile)) + stages.slot(*stages.store(LAST, tile))
    return total + stages.overhead(1)


def _channels_inside(stages: Stages, pixels: PixelTiles) -> Array:
    """Nn = 1 and Nm > 1, pixels outside: weights change in every step; a dense ifmap only when a pass begins."""

    def one_pass(tile: PixelTile) -> Pass:
        def load(m: int, with_ifmap: bool) -> tuple[Transfer, ...]:
            weights = stages.load_weights(m, LAST)
            return (*weights, stages.load_ifmap(m, LAST, tile)) if with_ifmap else weights

        body, last = stages.store(BODY, tile), stages.store(LAST, tile)
        return Pass(
            repeats=1,
            count=stages.out_count,
            first=load(BODY, with_ifmap=True),
            middle=load(BODY, with_ifmap=not stages.dense),
            last=load(LAST, with_ifmap=not stages.dense),
            compute=(stages.compute(BODY, LAST, tile), stages.compute(LAST, LAST, tile)),
            stores=(body, last, body),
        )

    first_load = (stages.load_ifmap(BODY, LAST, pixels.first), *stages.load_weights(BODY, LAST))
    return _layer_cycles(stages, [(times, [one_pass(tile)]) for times, tile in pixels.outer()], first_load)


def _pixels_inside(stages: Stages, pixels: PixelTiles) -> Array:
    """Nn = 1, pixels inside: the ifmap changes in every step, weights when the first line of tiles begins."""

    def one_pass(m: int, line: Line) -> Pass:
        first, middle, last = line.tiles
        body_store, last_store = stages.store(m, middle), stages.store(m, last)
        weights = stages.load_weights(m, LAST) if line.is_first and not stages.visit.single_out else ()
        return Pass(
            repeats=line.repeats,
            count=line.count,
            first=(*weights, stages.load_ifmap(m, LAST, first)),
            middle=(stages.load_ifmap(m, LAST, middle),),
            last=(stages.load_ifmap(m, LAST, last),),
            compute=(stages.compute(m, LAST, middle), stages.compute(m, LAST, last)),
            stores=(body_store, last_store, body_store),
        )

    first_m = stages.out_classes[0]
    first_load = (stages.load_ifmap(first_m, LAST, pixels.first), *stages.load_weights(first_m, LAST))
    lines = pixels.lines()
    sequences = [(times, [one_pass(m, line) for line in lines]) for m, times in stages.out_repeats]
    return _layer_cycles(stages, sequences, first_load)


def _inputs_inside(stages: Stages, pixels: PixelTiles) -> Array:
    """Nn > 1: both tiles change in every step; results are stored after the last input channels."""

    def load(m: int, n: int, tile: PixelTile) -> tuple[Transfer, ...]:
        return (stages.load_ifmap(m, n, tile), *stages.load_weights(m, n))

    def one_pass(m: int, repeats: Array | int, tile: PixelTile) -> Pass:
        body = load(m, BODY, tile)
        return Pass(
            repeats=repeats,
            count=stages.in_count,
            first=body,
            middle=body,
            last=load(m, LAST, tile),
            compute=(stages.compute(m, BODY, tile), stages.compute(m, LAST, tile)),
            stores=((), stages.store(m, tile), ()),
        )

    sequences = [
        (times, [one_pass(m, repeats, tile) for m, repeats in stages.out_repeats]) for times, tile in pixels.outer()
    ]
    return _layer_cycles(stages, sequences, load(stages.out_classes[0], BODY, pixels.first))


def setup_words(layer: Layer, engine: Engine) -> Array:
    """Bus words of descriptor, channel parameters and activation table."""
    parameters = np.ceil(layer.out_channels / engine.word) * PARAMETER_BYTES
    return np.ceil(DESCRIPTOR_BYTES / engine.word) + parameters + np.ceil(TABLE_BYTES / engine.word)


def setup_cycles(layer: Layer, engine: Engine, timing: Timing) -> Array:
    """What a layer takes before its first slot; the table is written a byte a cycle."""
    table_words = np.ceil(TABLE_BYTES / engine.word)
    words = setup_words(layer, engine) - table_words
    table = np.maximum(TABLE_BYTES, table_words * timing.ddr_cycles_per_word)
    cycles = words * np.maximum(1, timing.ddr_cycles_per_word) + table
    overhead = timing.layer + SETUP_BURSTS * (timing.access + timing.burst)
    return cycles + overhead


def slot_cycles(
    layer: Layer,
    timing: Timing,
    visit: Visit,
    channels: ChannelTiling,
    pixels: PixelTiling,
    rows: tuple[Array | slice, Array | slice] = (slice(None), slice(None)),
) -> Array:
    """[candidates, A] cycles of a layer without its setup.

    The candidates are the ``rows`` of the two tilings, taken in pairs; all must be of the given ``visit``.
    """
    stages = Stages(layer, timing, visit, channels, rows[0])
    calculation = {
        Inside.NONE: _single_step,
        Inside.INPUTS: _inputs_inside,
        Inside.CHANNELS: _channels_inside,
        Inside.PIXELS: _pixels_inside,
    }[visit.inside]
    return calculation(stages, PixelTiles(pixels, visit, rows[1]))
