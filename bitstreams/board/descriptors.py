"""What the descriptors of a program of format 5 make the engine fetch, compute and store, checked before it starts.

The engine follows the steps in a descriptor, whatever layer they were made for. So what it touches is found as its
Verilog finds it (``tile_walk.v``, ``axis.v``, ``run_words.v``): tile by tile along rows, columns and channels, which
add up, so that the extremes of each axis are enough.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np

from bitstreams.board.parts import CONTENT, COUNTERS, IMAGE, LOGITS, MAPS, Access, Rule, access_rules, parts_of
from cost_models.engine.layer import EngineLayer
from cost_models.engine.tiles import TiledLayer
from cost_models.mapping.mapping import LoopOrder, Mapping
from hw_templates.conv_engine import isa
from hw_templates.conv_engine.engine_shape import EngineShape
from hw_templates.conv_engine.program import Program
from hw_templates.foundation.arrays import IntArray
from hw_templates.foundation.errors import InvalidValueError
from hw_templates.operations import Operation

ANSWER_CYCLES = 256
"""Cycles within which the memory of any board answers, unless something is wrong."""

_POSITIONS, _OFFSETS, _RUN_WORDS, _CHANNEL_WORDS = 2**12, 2**25, 2**16, 2**12
"""What positions, offsets of tiles, words of a run and channel words are below, so that none wraps in the engine."""


@dataclass(frozen=True, kw_only=True)
class LayerWork:
    """The work that one descriptor gives the engine.

    Attributes:
        accesses: what it reads and writes.
        rules: of fields whose values the engine would wrap.
        iterations: cycles in which its array computes.
        most_cycles: cycles that it takes at most, where memory answers within :data:`ANSWER_CYCLES`.
    """

    accesses: list[Access]
    rules: list[Rule]
    iterations: int
    most_cycles: int


@dataclass(frozen=True)
class _Reach:
    """Words from a map's first to the end of what is touched, words of a tile at most, and rules of its fields."""

    words: int
    tile_words: int
    rules: list[Rule]


def tiled_layer(record: np.void, shape: EngineShape) -> TiledLayer:
    """Return the layer that a descriptor makes an engine compute, in its tiles; a band is a smaller layer.

    Raises:
        CodesignError, ValueError, ZeroDivisionError: its sizes and tiles are those of no layer.
    """
    values = {name: int(record[name]) for name, _, _ in isa.FIELDS}
    layer = EngineLayer(
        operation=Operation.of_code(values["operation"]),
        in_channels=values["in_channels"],
        in_height=values["in_height"],
        in_width=values["in_width"],
        out_channels=values["out_channels"],
        kernel=(values["kernel_height"], values["kernel_width"]),
        stride=(values["stride_height"], values["stride_width"]),
        dilation=(values["dilation_height"], values["dilation_width"]),
        padding=(values["pad_top"], values["pad_left"], values["pad_bottom"], values["pad_right"]),
        pad_value=values["pad_value"],
        repeat=bool(values["repeat"]),
        weight_bits=4 if values["four_bit_weights"] else 8,
        residual=values["residual"],
    )
    mapping = Mapping(
        loop_order=LoopOrder[isa.LoopOrderCode(values["loop_order"]).name],
        tile_out_channels=values["tile_out_channels"],
        tile_in_channels=values["tile_in_channels"],
        tile_height=values["tile_height"],
        tile_width=values["tile_width"],
    )
    tiled = TiledLayer(layer=layer, mapping=mapping, shape=shape)
    sizes = {
        "out_height": layer.out_height,
        "out_width": layer.out_width,
        "tiles_out": len(tiled.out_tiles),
        "tiles_in": len(tiled.in_tiles),
        "tiles_rows": tiled.rows.tiles,
        "tiles_cols": tiled.cols.tiles,
    }
    for name, size in sizes.items():
        if values[name] != size:
            raise InvalidValueError(f"descriptor.{name}", values[name], f"{size}, as of its layer")
    return tiled


def check_program(program: Program, shape: EngineShape) -> list[LayerWork]:
    """Refuse a program that the engine cannot run, or that reads or writes outside of its own parts.

    Args:
        program: what is to be loaded.
        shape: the engine.

    Returns:
        What each layer makes the engine do.

    Raises:
        InvalidValueError: names the field of the program or of one of its descriptors.
    """
    accelerator = shape.accelerator
    parts, ranges, made = parts_of(program, accelerator), shape.field_ranges(), []
    for index, record in enumerate(program.descriptors):
        values = {name: int(record[name]) for name, _, _ in isa.FIELDS}
        in_range = (
            (name, least <= values[name] <= most, f"in {least} to {most}, as the engine has")
            for name, (least, most) in ranges.items()
        )
        reserved = ("reserved", not record["reserved"].any(), "0")
        _hold(index, record, chain(in_range, [reserved]))
        work = _layer_work(values, shape)
        _hold(index, record, chain(work.rules, access_rules(record, work.accesses, parts, program, accelerator)))
        made.append(work)
    return made


def _hold(index: int, record: np.void, rules: Iterator[Rule]) -> None:
    for field, holds, expected in rules:
        if not holds:
            value = record[field]
            raise InvalidValueError(
                f"program.layers[{index}].{field}", value.tolist() if value.ndim else int(value), expected
            )


def _layer_work(values: dict[str, int], shape: EngineShape) -> LayerWork:
    """Return what a descriptor whose fields are in their ranges makes the engine do."""
    operation, accelerator = Operation.of_code(values["operation"]), shape.accelerator
    ifmap, ofmap, residual = _ifmap(values), _result(values, "out"), _result(values, "res")
    weights = _weight_beats(values) * accelerator.weight_port_words
    parameters = values["parameter_beats"] * accelerator.weight_port_words
    gate = -(-values["out_channels"] // accelerator.axi_bytes)
    table, counters = isa.TABLE_BYTES // accelerator.axi_bytes, isa.COUNTERS.itemsize // accelerator.axi_bytes
    accesses = [
        # What stays on chip takes no place in memory.
        Access("ifmap_word", 0 if values["map_in"] else ifmap.words, (IMAGE, MAPS)),
        Access("ofmap_word", 0 if values["map_out"] else ofmap.words, (MAPS, LOGITS)),
        Access("residual_word", residual.words if values["residual"] else 0, (IMAGE, MAPS)),
        # Of a gate, the port's last beat may reach beyond the map, into what is read by nobody.
        Access("weight_word", min(weights, gate), (IMAGE, MAPS))
        if operation.reads_gate
        else Access("weight_word", weights, (CONTENT,)),
        Access("parameter_word", parameters, (CONTENT,)),
        Access("table_word", table if values["load_table"] else 0, (CONTENT,)),
        Access("counter_word", counters, (COUNTERS,)),
    ]
    rules = [*ifmap.rules, *ofmap.rules, *(residual.rules if values["residual"] else [])]
    rules += [*_ring_rules(values, "in", accelerator.map_depth), *_ring_rules(values, "out", accelerator.map_depth)]
    pixels = values["tiles_rows"] * values["tiles_cols"]
    slots = values["tiles_out"] * values["tiles_in"] * pixels
    iterations = _iterations(values)
    # As if nothing ran beside anything else, and each word were a request of its own, 15 of which are under way. A
    # layer has two slots more than tiles, and in C++ others to turn to the next one, to wait, to store and to count.
    words = slots * (ifmap.tile_words + ofmap.tile_words + residual.tile_words) + weights * pixels + parameters + table
    most = iterations + words * (2 + ANSWER_CYCLES // 15) + (slots + 8) * (64 + 4 * ANSWER_CYCLES)
    return LayerWork(
        accesses=[access for access in accesses if access.words],
        rules=rules,
        iterations=iterations,
        most_cycles=most,
    )


def _ring_rules(values: dict[str, int], side: str, map_depth: int) -> Iterator[Rule]:
    """Yield the rules of a map that stays on chip: its ring lies in the map memory, and the map begins in the ring."""
    if values[f"map_{side}"]:
        end, ring, lines = values[f"map_{side}_end"], values[f"map_{side}_ring"], 2 * map_depth
        yield f"map_{side}_end", 0 < ring <= end <= lines, f"behind a ring of {ring} lines, at most {lines}"
        word = {"in": "ifmap_word", "out": "ofmap_word"}[side]
        yield word, end - ring <= values[word] < end, f"a line of its ring, {end - ring} to {end - 1}"


def _per_tile(tiles: int, full: int, last: int) -> IntArray:
    """Return a value for each tile, [tiles], of which the last one has its own."""
    values = np.full(tiles, full, np.int64)
    values[-1] = last
    return values


def _channels(values: dict[str, int], side: str) -> tuple[IntArray, IntArray]:
    """Return first channel word and channel words of each tile, [tiles]."""
    words = _per_tile(values[f"tiles_{side}"], values[f"full_{side}_words"], values[f"last_{side}_words"])
    return np.arange(len(words)) * values[f"full_{side}_words"], words


def _ifmap(values: dict[str, int]) -> _Reach:
    """Return what is read of the input map: the tiles' extents, clipped to it."""
    of_channels = "in" if Operation.of_code(values["operation"]).is_dense else "out"
    first, words = _channels(values, of_channels)
    rules: list[Rule] = [(f"full_{of_channels}_words", int((first + words).max()) < _CHANNEL_WORDS, "of one pixel")]
    counts, offsets, ends = {}, {}, {}
    for axis, side, limit, padding in (
        ("row", "rows", "in_height", "pad_top"),
        ("col", "cols", "in_width", "pad_left"),
    ):
        tiles = np.arange(values[f"tiles_{side}"])
        extent = _per_tile(len(tiles), values[f"in_full_{side}"], values[f"in_last_{side}"])
        position = tiles * values[f"in_tile_{side}"] - values[padding]
        begin, end = np.maximum(position, 0), position + extent
        counts[axis] = np.maximum(np.minimum(end, values[limit]) - begin, 0)
        offsets[axis] = values[f"in_{axis}_begin"] + tiles * values[f"in_tile_{axis}_step"]
        last = (begin * values["repeat"] % 2 + counts[axis] - 1) >> values["repeat"]
        ends[axis] = np.maximum(offsets[axis], 0) + last * values[f"in_{axis}_step"]
        rules += [
            (f"in_tile_{side}", int(end.max()) < _POSITIONS, "such that the last window ends below 4096"),
            (f"in_tile_{axis}_step", int(np.abs(offsets[axis]).max()) < _OFFSETS, "such that no tile begins 2^25 off"),
        ]
    each = words
    if values["whole_in"]:
        runs, run_rules = _runs(
            offsets["col"],
            _per_tile(len(offsets["col"]), values["in_full_words"], values["in_last_words"]),
            values["in_col_end"],
            "in_full_words",
        )
        rules += run_rules
        ends["col"], each = np.maximum(offsets["col"], 0) + runs, np.zeros_like(words)
    tile = max(1, int(counts["row"].max())) * (
        int(runs.max()) if values["whole_in"] else max(1, int(counts["col"].max())) * max(1, int(words.max()))
    )
    fetched = {axis: ends[axis][counts[axis] > 0] for axis in ends}
    if not all(map(len, fetched.values())):
        return _Reach(0, 0, rules)
    return _Reach(sum(int(part.max()) for part in (*fetched.values(), first + each)), tile, rules)


def _runs(offsets: IntArray, extents: IntArray, row_end: int, field: str) -> tuple[IntArray, list[Rule]]:
    """Return the words of the run of each tile of columns, [tiles], where a run is a row; one of none counts as one."""
    words = np.minimum(offsets + extents, row_end) - np.maximum(offsets, 0)
    sound = int(words.min()) >= 0 and int(words.max()) < _RUN_WORDS and max(row_end, int(extents.max())) < _OFFSETS
    return np.maximum(words, 1), [(field, sound, f"such that no run is longer than {_RUN_WORDS - 1} words")]


def _result(values: dict[str, int], prefix: str) -> _Reach:
    """Return what is written of the output map, or read of the map that is added."""
    keeps = values["loop_order"] == isa.LoopOrderCode.INPUTS_OUTER
    first, words = _channels(values, "out")
    if keeps:
        first, words = np.zeros(1, np.int64), np.array([values["out_run_words"]])
    rules: list[Rule] = [("full_out_words", int((first + words).max()) < _CHANNEL_WORDS, "of one pixel")]
    rows = _per_tile(values["tiles_rows"], values["tile_height"], values["last_rows"])
    cols = _per_tile(values["tiles_cols"], values["tile_width"], values["last_cols"])
    at_row = np.arange(len(rows)) * values[f"{prefix}_tile_row_step"]
    at_col = np.arange(len(cols)) * values[f"{prefix}_tile_col_step"]
    for axis, offsets in (("row", at_row), ("col", at_col)):
        rules.append((f"{prefix}_tile_{axis}_step", int(offsets.max()) < _OFFSETS, "such that no tile begins 2^25 off"))
    end = int((at_row + (rows - 1) * values[f"{prefix}_row_step"]).max())
    if values[f"whole_{prefix}"]:
        field = f"{prefix}_tile_col_step"
        runs, run_rules = _runs(at_col, np.full_like(at_col, values[field]), values[f"{prefix}_col_end"], field)
        rules += run_rules
        return _Reach(end + int((at_col + runs).max()) + int(first.max()), int(rows.max() * runs.max()), rules)
    end += int((at_col + (cols - 1) * values[f"{prefix}_col_step"]).max()) + int((first + words).max())
    return _Reach(end, int(rows.max() * cols.max() * words.max()), rules)


def _weight_beats(values: dict[str, int]) -> int:
    """Return the beats of the weight port from a layer's first weights to its last."""
    outs, ins = values["tiles_out"] - 1, values["tiles_in"] - 1

    def of(kind: str) -> int:
        return ins * values[f"weight_beats_{kind}_full"] + values[f"weight_beats_{kind}_last"]

    return outs * of("full") + of("last")


def _iterations(values: dict[str, int]) -> int:
    groups = (
        (values["tiles_out"] - 1) * values["row_groups_full"] + values["row_groups_last"],
        (values["tiles_in"] - 1) * values["col_groups_full"] + values["col_groups_last"],
        (values["tiles_rows"] - 1) * values["tile_height"] + values["last_rows"],
        (values["tiles_cols"] - 1) * values["pixel_groups_full"] + values["pixel_groups_last"],
    )
    return math.prod(groups) * values["kernel_height"] * values["kernel_width"]
