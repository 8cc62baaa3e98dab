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

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from cost_models.coefficients import LatencyCoefficients
from cost_models.tiling import FULL, LAST, Array, ChannelTiling, Engine, Inside, PixelTiling
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


@dataclass(frozen=True)
class Stages:
    """Times of the three stages of one layer for tiles of given classes."""

    layer: Layer
    timing: Timing
    inside: Inside
    channels: ChannelTiling
    pixels: PixelTiling

    @cached_property
    def whole_channels(self) -> bool:
        """Whether an ifmap tile holds all channels of its pixels."""
        if self.layer.operation == Operation.CONV:
            return self.inside != Inside.INPUTS
        return self.inside == Inside.PIXELS_ONLY

    @cached_property
    def store_bursts(self) -> tuple[Array, Array]:
        """Bursts that store a full and a last tile: one if it holds whole rows of all channels, one a row if only all
        channels, else one a pixel."""
        rows, outputs = self.pixels.rows, self.pixels.outputs
        single_out, single_across = self.channels.outputs.count == 1, self.pixels.cols.count == 1
        full, last = (
            np.where(single_out, np.where(single_across, 1, rows.at(row)), outputs.at(row)) for row in (FULL, LAST)
        )
        return full.astype(rows.full.dtype), last.astype(rows.full.dtype)

    def load_ifmap(self, words: Array, rows: Array) -> Transfer:
        """``words`` bus words for each pixel of a tile of ``rows`` input rows."""
        halo = self.pixels.halo_cols
        area = rows * (halo.total / self.pixels.cols.count)
        bursts = halo.covering + (1 - halo.covering) * rows if self.whole_channels else area
        moved = words * area
        return Transfer(moved + (self.timing.access + self.timing.burst * bursts), moved)

    def load_weights(self, m: int, n: int) -> Transfer:
        """The weights of a tile of classes m and n; always one burst."""
        words = self.channels.weight_words[m][n]
        if self.layer.operation == Operation.POOL:
            return Transfer(words, words)
        return Transfer(words + (self.timing.access + self.timing.burst), words)

    def compute(self, m: int, n: int, row: int, finishes: bool) -> Transfer:
        """One trip a cycle after the pipeline has filled; while a tile is finished, its residual is read beside."""
        outputs, inputs, trips = self.channels.outputs, self.channels.inputs, self.pixels.trips
        cycles = outputs.at(m) * inputs.at(n) * trips.at(row) + self.timing.pipeline
        if finishes and self.layer.residual:
            residual = self.store(m, row)
            return Transfer(np.maximum(cycles, residual.cycles), residual.words)
        return Transfer(cycles, None)

    def store(self, m: int, row: int) -> Transfer:
        """Results of a tile."""
        words = self.channels.out_words.at(m) * self.pixels.outputs.at(row)
        return Transfer(words + (self.timing.access + self.timing.burst * self.store_bursts[row]), words)

    def slot(self, *transfers: Transfer) -> Array:
        """Cycles of a slot that holds these."""
        cycles, words = transfers[0].cycles, transfers[0].words
        for transfer in transfers[1:]:
            cycles = np.maximum(cycles, transfer.cycles)
            if transfer.words is not None:
                words = transfer.words if words is None else words + transfer.words
        return cycles if words is None else np.maximum(cycles, words * self.timing.ddr_cycles_per_word)


@dataclass(frozen=True)
class Pass:
    """One pass of the inner loop, for one class of the outer loops.

    Attributes:
        count: steps of the pass.
        first, middle, last: loads of the first, a middle and the last step.
        compute: of a full and of a last step.
        stores: what is stored in the first slot, in the second, and in each other.
    """

    count: Array
    first: tuple[Transfer, ...]
    middle: tuple[Transfer, ...]
    last: tuple[Transfer, ...]
    compute: tuple[Transfer, Transfer]
    stores: tuple[tuple[Transfer, ...], tuple[Transfer, ...], tuple[Transfer, ...]]

    @cached_property
    def second(self) -> tuple[Transfer, ...]:
        """Loads of the second step: of a last one where there are two."""
        two = self.count == 2
        return tuple(last.where(two, middle) for last, middle in zip(self.last, self.middle, strict=True))

    @property
    def leaving(self) -> tuple[Transfer, ...]:
        """What is still computed and stored in the first slot of the pass that follows."""
        return (self.compute[LAST], *self.stores[0])

    def after_second(self, stages: Stages) -> Array:
        """Cycles of all slots after the second."""
        store = self.stores[2]
        middle = np.maximum(self.count - 3, 0) * stages.slot(*self.middle, self.compute[FULL], *store)
        return middle + (self.count > 2) * stages.slot(*self.last, self.compute[FULL], *store)


def _layer_cycles(stages: Stages, passes: list[tuple[Any, Pass]], first_load: tuple[Transfer, ...]) -> Array:
    """All slots of the passes (how many there are of each), with the fill and drain of the pipeline.

    The first two slots of the layer have nothing to store, and the first nothing to compute; two more follow the last.
    """
    steps: Any = 0
    total: Any = 0
    seen: Any = False
    left = passes[0][1].leaving
    for repeats, one in passes:
        exists = repeats > 0
        second = stages.slot(*one.second, one.compute[FULL], *one.stores[1])
        own = np.maximum(repeats - 1, 0) * stages.slot(*one.first, *one.leaving)
        from_other = (seen & exists) * stages.slot(*one.first, *left)
        total = total + own + from_other + repeats * ((one.count > 1) * second + one.after_second(stages))
        steps = steps + repeats * one.count
        left = tuple(new.where(exists, old) for new, old in zip(one.leaving, left, strict=True))
        seen = seen | exists
    entered = passes[0][1]
    several = total - stages.slot(*entered.second, entered.compute[FULL], *entered.stores[1])
    several = several + stages.slot(*entered.second, entered.compute[FULL]) + stages.slot(*left)
    ends = stages.slot(*first_load) + stages.slot(*passes[-1][1].stores[1])
    single = stages.slot(left[0])
    return ends + np.where(steps == 1, single, several) + (steps + 2) * stages.timing.slot


def _channels_inside(stages: Stages) -> Array:
    """Nn = 1 and Nm > 1, pixels outside: weights change in every step; a dense ifmap only when a pass begins."""
    dense = stages.layer.operation == Operation.CONV
    in_words, halo = stages.channels.in_words, stages.pixels.halo_rows
    weights = [stages.load_weights(edge, FULL) for edge in (FULL, LAST)]

    def one_pass(row: int, rows: Array) -> Pass:
        maps = [stages.load_ifmap(in_words.at(edge), rows) for edge in (FULL, LAST)]
        computes = [stages.compute(edge, FULL, row, finishes=True) for edge in (FULL, LAST)]
        stores = [stages.store(edge, row) for edge in (FULL, LAST)]
        first = (weights[FULL], maps[FULL])
        return Pass(
            count=stages.channels.outputs.count,
            first=first,
            middle=weights[:1] if dense else first,
            last=weights[1:] if dense else (weights[LAST], maps[LAST]),
            compute=(computes[FULL], computes[LAST]),
            stores=((stores[FULL],), (stores[LAST],), (stores[FULL],)),
        )

    across, down = stages.pixels.cols.count, stages.pixels.rows.count
    passes = [((down - 1) * across, one_pass(FULL, halo.body)), (across, one_pass(LAST, halo.last))]
    return _layer_cycles(stages, passes, (weights[FULL], stages.load_ifmap(in_words.full, halo.first)))


def _pixels_inside(stages: Stages) -> Array:
    """Nn = 1, pixels inside: the ifmap changes in every step, weights when a pass begins (once if Nm = 1)."""
    single_out = stages.inside == Inside.PIXELS_ONLY
    stages = replace(stages, pixels=stages.pixels.in_sequence())
    dense = stages.layer.operation == Operation.CONV
    in_words, halo = stages.channels.in_words, stages.pixels.halo_rows

    def one_pass(m: int) -> Pass:
        words = in_words.at(FULL if dense else m)
        first, middle, last = (stages.load_ifmap(words, rows) for rows in (halo.first, halo.middle, halo.last))
        weights = () if single_out else (stages.load_weights(m, FULL),)
        computes = [stages.compute(m, FULL, row, finishes=True) for row in (FULL, LAST)]
        stores = [stages.store(m, row) for row in (FULL, LAST)]
        return Pass(
            count=stages.pixels.count,
            first=(*weights, first),
            middle=(middle,),
            last=(last,),
            compute=(computes[FULL], computes[LAST]),
            stores=((stores[FULL],), (stores[LAST],), (stores[FULL],)),
        )

    first_load = (stages.load_weights(FULL, FULL), stages.load_ifmap(in_words.full, halo.first))
    passes: list[tuple[Any, Pass]] = [(1, one_pass(LAST))]
    if not single_out:
        passes.insert(0, (stages.channels.outputs.count - 1, one_pass(FULL)))
    return _layer_cycles(stages, passes, first_load)


def _inputs_inside(stages: Stages) -> Array:
    """Nn > 1: both tiles change in every step; results are stored after the last input channels."""
    in_words, halo, channels = stages.channels.in_words, stages.pixels.halo_rows, stages.channels

    def one_pass(m: int, row: int, rows: Array) -> Pass:
        full, last = ((stages.load_weights(m, n), stages.load_ifmap(in_words.at(n), rows)) for n in (FULL, LAST))
        store = (stages.store(m, row),)
        return Pass(
            count=channels.inputs.count,
            first=full,
            middle=full,
            last=last,
            compute=(
                stages.compute(m, FULL, row, finishes=False),
                stages.compute(m, LAST, row, finishes=True),
            ),
            stores=((), store, ()),
        )

    across, down = stages.pixels.cols.count, stages.pixels.rows.count
    passes = [
        (repeats_m * repeats_row, one_pass(m, row, rows))
        for m, repeats_m in ((FULL, channels.outputs.count - 1), (LAST, 1))
        for row, rows, repeats_row in ((FULL, halo.body, (down - 1) * across), (LAST, halo.last, across))
    ]
    return _layer_cycles(
        stages, passes, (stages.load_weights(FULL, FULL), stages.load_ifmap(in_words.full, halo.first))
    )


def setup_words(layer: Layer, engine: Engine) -> Array:
    """Bus words of descriptor, channel parameters and activation table."""
    parameters = np.ceil(layer.out_channels / engine.word) * PARAMETER_BYTES
    return np.ceil(DESCRIPTOR_BYTES / engine.word) + parameters + np.ceil(TABLE_BYTES / engine.word)


def setup_cycles(layer: Layer, engine: Engine, timing: Timing) -> Array:
    """What a layer takes before its first slot; the table is written a byte a cycle."""
    words = setup_words(layer, engine)
    cycles = words - np.ceil(TABLE_BYTES / engine.word) + TABLE_BYTES
    overhead = timing.layer + SETUP_BURSTS * (timing.access + timing.burst)
    return np.maximum(cycles, words * timing.ddr_cycles_per_word) + overhead


def slot_cycles(layer: Layer, timing: Timing, inside: Inside, channels: ChannelTiling, pixels: PixelTiling) -> Array:
    """[candidates, A] cycles of a layer without its setup, for tilings that all have the same innermost loop."""
    stages = Stages(layer, timing, inside, channels, pixels)
    if inside == Inside.INPUTS:
        return _inputs_inside(stages)
    if inside == Inside.CHANNELS:
        return _channels_inside(stages)
    return _pixels_inside(stages)
