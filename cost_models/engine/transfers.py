"""What a tile's commands move over the memory ports: words and AXI bursts, cut at multiples of MAX_BURST words."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from cost_models.engine.places import MapPlace, ProgramStep
from cost_models.engine.tiles import Axis, TiledLayer
from cost_models.engine.walk import TileWalk
from hw_templates.conv_engine import isa
from hw_templates.conv_engine.engine_shape import MAX_BURST
from hw_templates.foundation.arrays import BoolArray, IntArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Transfers:
    """Commands to a port, arrays [commands]; a command of no words is not made.

    Attributes:
        words: words of the port's width.
        bursts: AXI bursts.
        last_words: words of the last burst.
        last_bursts: bursts of the last run.
        pattern: index of the command's pattern in ``patterns``.
        patterns: what differs between commands, [patterns, 8]: first word within a burst's span, rows, words from row
            to row, runs of a row, words from run to run, words of a run, copies of the first row and run not read.
        copies: how often each row and each run is read.
    """

    words: IntArray
    bursts: IntArray
    last_words: IntArray
    last_bursts: IntArray
    pattern: IntArray
    patterns: IntArray
    copies: int = 1

    def take(self, index: IntArray) -> "Transfers":
        """Return the commands at an index, [n]."""
        return self._of_commands(lambda values: values[index])

    def only(self, made: BoolArray) -> "Transfers":
        """Return the commands with those away that are not made, [commands]."""
        return self._of_commands(lambda values: np.where(made, values, 0))

    def later(self, slots: int) -> "Transfers":
        """Return the commands of a layer's tiles in its slots, [commands + 2], ``slots`` after the tile is fetched."""
        index = np.arange(len(self.words) + 2) - slots
        made = (index >= 0) & (index < len(self.words))
        return self.take(np.clip(index, 0, len(self.words) - 1)).only(made)

    def _of_commands(self, change: Callable[[IntArray], IntArray]) -> "Transfers":
        return replace(
            self,
            words=change(self.words),
            bursts=change(self.bursts),
            last_words=change(self.last_words),
            last_bursts=change(self.last_bursts),
            pattern=change(self.pattern),
        )


def run_transfers(begin: IntArray, words: IntArray) -> Transfers:
    """Return commands of one run each, of ``words`` [n] words from word ``begin`` [n] on."""
    end = begin + words
    bursts = np.where(words > 0, -(-end // MAX_BURST) - begin // MAX_BURST, 0)
    one, none = np.ones_like(words), np.zeros_like(words)
    return Transfers(
        words=words,
        bursts=bursts,
        last_words=np.minimum(words, (end - 1) % MAX_BURST + 1),
        last_bursts=bursts,
        pattern=np.arange(len(words)),
        patterns=np.stack((begin % MAX_BURST, one, none, one, none, words, none, none), 1),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Stretch:
    """The part of a map that each tile of an axis takes, arrays [tiles].

    Attributes:
        begin: first row or column in memory.
        count: rows or columns, repeated ones counted as often as they are read.
        skipped: copies of the first one that are not read.
    """

    begin: IntArray
    count: IntArray
    skipped: IntArray


def no_transfers(commands: int) -> Transfers:
    """Return ``commands`` commands without words, which are not made."""
    none = np.zeros(1, np.int64)
    return run_transfers(none, none).take(np.zeros(commands, np.int64))


def input_transfers(step: ProgramStep, walk: TileWalk) -> Transfers:
    """Return what each slot would fetch of the input map from memory, [slots]."""
    tiled, place = step.tiled, step.places.ifmap
    if place.ring is not None:
        return no_transfers(len(walk.rows))
    halves = 2 if tiled.layer.repeat else 1
    sizes = _input_sizes(tiled)
    words = math.ceil(tiled.layer.in_channels / tiled.shape.accelerator.axi_bytes)
    return _map_transfers(
        place,
        width=tiled.layer.in_width // halves,
        stretches=(
            _inputs(tiled.rows, tiled.layer.in_height, halves),
            _inputs(tiled.cols, tiled.layer.in_width, halves),
        ),
        channels=_channel_words(sizes, tiled),
        whole=len(sizes) == 1 and place.pixel_words == words and halves == 1,
        index=(walk.rows, walk.cols, walk.inputs if tiled.dense else walk.outputs),
        copies=halves,
    )


def result_transfers(step: ProgramStep, walk: TileWalk, place: MapPlace) -> Transfers:
    """Return what each slot would store to memory, or fetch of a map of the result's shape, [slots]."""
    tiled = step.tiled
    if place.ring is not None:
        return no_transfers(len(walk.rows))
    sizes = _result_sizes(tiled)
    return _map_transfers(
        place,
        width=tiled.layer.out_width,
        stretches=(_outputs(tiled.rows), _outputs(tiled.cols)),
        channels=_channel_words(sizes, tiled),
        whole=len(sizes) == 1 and place.pixel_words == tiled.out_words,
        index=(walk.rows, walk.cols, np.zeros_like(walk.outputs) if tiled.keeps_sums else walk.outputs),
        copies=1,
    )


def input_lines(step: ProgramStep, walk: TileWalk) -> IntArray:
    """Return the lines of PE_COLS channels that each slot would load from the map memory, [slots]."""
    tiled = step.tiled
    if step.places.ifmap.ring is None:
        return np.zeros_like(walk.rows)
    rows, cols = _inputs(tiled.rows, tiled.layer.in_height, 1), _inputs(tiled.cols, tiled.layer.in_width, 1)
    lines = _lines(_input_sizes(tiled), tiled.shape.accelerator.pe_cols)
    of_tile: IntArray = lines[walk.inputs if tiled.dense else walk.outputs]
    return rows.count[walk.rows] * cols.count[walk.cols] * of_tile


def result_lines(step: ProgramStep, walk: TileWalk) -> IntArray:
    """Return the lines of PE_ROWS channels that each slot would store to the map memory, [slots]."""
    tiled = step.tiled
    if step.places.ofmap.ring is None:
        return np.zeros_like(walk.rows)
    rows, cols = _outputs(tiled.rows), _outputs(tiled.cols)
    lines = _lines(_result_sizes(tiled), tiled.shape.accelerator.pe_rows)
    of_tile: IntArray = lines[np.zeros_like(walk.outputs) if tiled.keeps_sums else walk.outputs]
    return rows.count[walk.rows] * cols.count[walk.cols] * of_tile


def weight_transfers(step: ProgramStep, walk: TileWalk) -> Transfers:
    """Return what each slot would fetch of the weights, [slots], in beats of the weight port."""
    tiled = step.tiled
    order = np.array(tiled.fetch_order())
    tiles = [tiled.weight_beats(tiled.out_tiles[out], tiled.in_tiles[each]) for out, each in tiled.fetch_order()]
    beats = np.array(tiles, np.int64)
    begin = step.places.weight_word // tiled.shape.accelerator.weight_port_words + np.cumsum(beats) - beats
    at = np.zeros((len(tiled.out_tiles), len(tiled.in_tiles)), np.int64)
    at[order[:, 0], order[:, 1]] = np.arange(len(order))
    return run_transfers(begin, beats).take(at[walk.outputs, walk.inputs])


def setup_transfers(step: ProgramStep) -> Transfers:
    """Return the weight port's commands before a step: descriptor, parameters and perhaps its table, in beats."""
    accelerator, places = step.tiled.shape.accelerator, step.places
    port_bytes = accelerator.weight_port_bytes
    begin = np.array([step.descriptor_word, places.parameter_word, places.table_word]) // accelerator.weight_port_words
    beats = (
        isa.DESCRIPTOR_BYTES // port_bytes,
        step.tiled.parameter_beats(step.edges),
        isa.TABLE_BYTES // port_bytes,
    )
    made = 3 if step.load_table else 2
    return run_transfers(begin[:made], np.array(beats[:made], np.int64))


def counter_transfers(step: ProgramStep) -> Transfers:
    """Return the store's command that writes a step's counters."""
    words = isa.COUNTERS.itemsize // step.tiled.shape.accelerator.axi_bytes
    return run_transfers(np.array([step.places.counter_word]), np.array([words]))


def _inputs(axis: Axis, limit: int, halves: int) -> _Stretch:
    """Return the inputs that each tile reads of a map of ``limit`` rows or columns."""
    outputs = np.full(axis.tiles, axis.tile, np.int64)
    outputs[-1] = axis.last
    position = np.arange(axis.tiles) * axis.tile * axis.stride - axis.padding
    begin = np.maximum(position, 0)
    end = np.minimum(position + (outputs - 1) * axis.stride + (axis.kernel - 1) * axis.dilation + 1, limit)
    return _Stretch(begin=begin // halves, count=np.maximum(end - begin, 0), skipped=begin % halves)


def _outputs(axis: Axis) -> _Stretch:
    """Return the outputs of each tile."""
    begin = np.arange(axis.tiles) * axis.tile
    count = np.minimum(axis.size - begin, axis.tile)
    return _Stretch(begin=begin, count=count, skipped=np.zeros_like(begin))


def _input_sizes(tiled: TiledLayer) -> list[int]:
    """Return the input channels of each tile; a channel-wise layer reads the channels that it makes."""
    return tiled.in_tiles if tiled.dense else tiled.out_tiles


def _result_sizes(tiled: TiledLayer) -> list[int]:
    """Return the output channels that are stored together."""
    return [tiled.layer.out_channels] if tiled.keeps_sums else tiled.out_tiles


def _lines(sizes: list[int], channels: int) -> IntArray:
    """Return the lines of ``channels`` channels that a pixel takes in each tile of channels, [tiles]."""
    lines: IntArray = -(-np.array(sizes, np.int64) // channels)
    return lines


def _channel_words(sizes: list[int], tiled: TiledLayer) -> tuple[IntArray, IntArray]:
    """Return first word and words of a pixel for each tile of channels."""
    words = np.array([math.ceil(size / tiled.shape.accelerator.axi_bytes) for size in sizes], np.int64)
    return np.arange(len(sizes)) * words[0], words


def _map_transfers(
    place: MapPlace,
    *,
    width: int,
    stretches: tuple[_Stretch, _Stretch],
    channels: tuple[IntArray, IntArray],
    whole: bool,
    index: tuple[IntArray, IntArray, IntArray],
    copies: int,
) -> Transfers:
    """Return the command of each slot for a part of a map.

    Args:
        place: of the map, whose rows have ``width`` pixels in memory.
        stretches: rows and columns of each tile.
        channels: first word and words of a pixel of each tile of channels.
        whole: whether a run is a row of the tile; else it is a pixel.
        index: tile of rows, columns and channels in each slot, [slots] each.
        copies: how often each row and column is read.
    """
    rows, cols = stretches
    first, words = channels
    shape = (len(rows.begin), len(cols.begin), len(words))
    # Most tiles are alike: commands are made of those only that differ in anything a burst depends on.
    code = np.ravel_multi_index(index, shape)
    of_row, of_col, of_channels = np.unravel_index(np.arange(math.prod(shape)), shape)
    present, back = np.unique(code, return_inverse=True)
    row, col, part = of_row[present], of_col[present], of_channels[present]
    row_step = width * place.pixel_words
    begin = place.word + rows.begin[row] * row_step + cols.begin[col] * place.pixel_words + first[part]
    kinds = np.stack(
        (begin % MAX_BURST, rows.count[row], rows.skipped[row], cols.count[col], cols.skipped[col], words[part]), 1
    )
    kinds, of_kind = np.unique(kinds, axis=0, return_inverse=True)
    begin, row_count, row_skipped, col_count, col_skipped, run = kinds.T
    if whole:
        run, col_count, col_skipped = (
            col_count * place.pixel_words,
            np.minimum(col_count, 1),
            np.zeros_like(col_skipped),
        )
    # How many rows, and how many runs of a row, begin at each word of a burst's span.
    at_row = _residues(row_count, row_skipped, row_step, copies)
    at_col = _residues(col_count, col_skipped, place.pixel_words, copies)
    span = np.arange(MAX_BURST)
    bursts = np.zeros_like(begin)
    for shift in span:
        runs = (at_row * at_col[:, (shift - span) % MAX_BURST]).sum(1)
        bursts += runs * -(-((begin + shift) % MAX_BURST + run) // MAX_BURST)
    last = begin + ((row_count - 1 + row_skipped) // copies) * row_step
    last += ((col_count - 1 + col_skipped) // copies) * place.pixel_words
    total = row_count * col_count * run
    return Transfers(
        words=total,
        bursts=np.where(total > 0, bursts, 0),
        last_words=np.minimum(run, (last + run - 1) % MAX_BURST + 1),
        last_bursts=-(-(last % MAX_BURST + run) // MAX_BURST),
        pattern=np.arange(len(begin)),
        patterns=np.stack(
            (
                begin,
                row_count,
                np.full_like(begin, row_step),
                col_count,
                np.full_like(begin, place.pixel_words),
                run,
                row_skipped,
                col_skipped,
            ),
            1,
        ),
        copies=copies,
    ).take(of_kind.reshape(-1)[back])


def _residues(count: IntArray, skipped: IntArray, step: int, copies: int) -> IntArray:
    """Return how many of ``count`` [n] multiples of ``step`` have each remainder by MAX_BURST, [n, MAX_BURST].

    Each multiple comes ``copies`` times, the first one ``skipped`` [n] times less.
    """
    period = MAX_BURST * copies
    places = np.arange(2 * period) // copies * step % MAX_BURST
    before = np.concatenate(
        (np.zeros((1, MAX_BURST), np.int64), np.cumsum(np.eye(MAX_BURST, dtype=np.int64)[places], 0))
    )
    end = skipped + count
    counted: IntArray = before[end % period] + (end // period)[:, None] * before[period] - before[skipped]
    return counted
