"""What the engine's Verilog does with the fields of a descriptor, tile by tile, over a memory of numbers.

Written from ``rtl/`` alone: it knows the fields and the sizes of an engine, and no layer. Registers wrap at the widths
that they have there. A number stands for each byte of memory, so that a result tells from which bytes it was made: sums
and products are taken modulo 2^64. A maximum is taken as a sum, as both need each value once.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from hw_templates.conv_engine import isa
from hw_templates.conv_engine.engine_shape import EngineShape

Numbers = npt.NDArray[np.uint64]
Words = npt.NDArray[np.int64]
AW, CW, BEATS = 26, 12, 16
CONV, POOL, MAX_POOL = 0, 2, 4
CHANNELS_OUTER, INPUTS_OUTER = 1, 2
COUNTER_BYTES, TABLE_BYTES, UNIT_BYTES = 32, 256, 8
ADDED = (0, 3, 5, 0)
"""What a map that is added is multiplied by, besides its scale, for each value of the field ``residual``."""


def table_number(numbers: Numbers) -> np.uint64:
    """Return what an activation table of so many numbers adds to each result, so that each of them matters."""
    number: np.uint64 = (numbers * (1 + 2 * np.arange(len(numbers), dtype=np.uint64))).sum(dtype=np.uint64)
    return number


class WalkError(Exception):
    """The engine would leave a buffer or the arena, wait for ever, or refuse the layer."""


def _need(holds: object, what: str) -> None:
    if not holds:
        raise WalkError(what)


def _signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


class Memory:
    """A number for each byte of the arena, of the map memory, and of a last word that is read for what is not there.

    Attributes:
        numbers: of the whole byte, of its lower half and of its upper one, [3, bytes].
        arena_words: words of the arena; those of the map memory follow, line by line and bank by bank.
        unanswered: words of the arena that were written, and the response did not come yet, [words].
    """

    def __init__(self, numbers: Numbers, arena_words: int, word_bytes: int) -> None:
        self.numbers, self.arena_words, self._word_bytes = numbers, arena_words, word_bytes
        self.unanswered = np.zeros(numbers.shape[1] // word_bytes, bool)

    def write(self, words: Words, numbers: Numbers) -> None:
        """Write numbers [words, bytes of a word]; those of the arena cannot be read before :meth:`drain`."""
        self.numbers[0].reshape(-1, self._word_bytes)[words] = numbers
        self.unanswered[words] = words < self.arena_words

    def check_read(self, words: Words) -> None:
        """Check that words that are read were written in time.

        Raises:
            WalkError: the response to a write of one is due.
        """
        _need(not self.unanswered[words].any(), "a word is read before its write is answered")

    def drain(self) -> None:
        """Wait for all responses."""
        self.unanswered[:] = False


class Buffers:
    """What stays in an engine from step to step: its buffers, and the half of each that was filled last."""

    def __init__(self, shape: EngineShape, nothing: np.uint64) -> None:
        c: dict[str, Any] = shape.constants()
        lines = c["PIXELS"], c["COLS"] // c["BYTES"], c["IFMAP_DEPTH"] * c["IFMAP_BUFFERS"]
        self.banks = np.full((*lines, c["BYTES"]), nothing)
        self.weights = np.full((3, c["WEIGHT_DEPTH"] * c["WEIGHT_BUFFERS"], c["ROWS"] * c["COLS"]), nothing)
        self.sums = np.full((c["SUM_DEPTH"] * c["OFMAP_BUFFERS"], c["ROWS"], c["PIXELS"]), nothing)
        self.residual = np.full((c["RESIDUAL_DEPTH"] * c["OFMAP_BUFFERS"], c["BYTES"]), nothing)
        self.halves = {"ifmap": 0, "weight": 0, "sum": 0}
        self.table = np.uint64(0)


class Fields:
    """The fields of a descriptor as the engine keeps them, and which of them were asked for."""

    def __init__(self, record: np.void, shape: EngineShape) -> None:
        widths = shape.widths()
        self._bits = {name: widths.get(width) or int(width) for name, width, _ in isa.FIELDS}
        self._record = record
        self.asked: set[str] = set()

    def __getattr__(self, name: str) -> int:
        self.asked.add(name)
        value = int(self._record[name]) & ((1 << self._bits[name]) - 1)
        setattr(self, name, value)  # and is found without this method from now on
        return value


@dataclass(kw_only=True)
class Tile:
    """A tile's commands."""

    index: int
    ifmap: dict[str, int] | None
    weights: tuple[int, int] | None
    compute: dict[str, int]
    store: dict[str, int]
    finishes: bool
    bases: dict[str, int] = field(default_factory=dict)


@dataclass(kw_only=True)
class _Position:
    """A tile along rows or columns, as ``axis`` makes it."""

    first: bool
    last: bool
    position: int
    count: int
    odd: int
    offsets: dict[str, int]


class DescriptorWalk:
    """One step on the engine.

    Attributes:
        fetched: for each tile in order, the words of the input map and the beats of weights that it fetches, or None.
        results: result numbers [words, bytes of a word] and, beside them, the word that each was written to.
        beats_before: beats of parameters, and of the activation table, fetched before the first tile.
        counter_words: where the counters are written.
        loaded_lines, stored_lines: lines that it takes from the map memory, and puts there.
    """

    def __init__(self, record: np.void, shape: EngineShape, memory: Memory, buffers: Buffers | None = None) -> None:
        self.fields, self.shape, self.memory = Fields(record, shape), shape, memory
        c: dict[str, Any] = shape.constants()
        self.c = c
        self.result_words: list[Words] = []
        self.results: list[Numbers] = []
        self.beats_before: list[Words] = []
        self.port_bytes = c["BYTES"] * c["PORT_WORDS"]
        self.line_words = c["COLS"] // c["BYTES"]
        self.buffers = buffers or Buffers(shape, memory.numbers[0, -1])
        self.next_sum = self.group_sums = self.loaded_lines = self.stored_lines = 0

    def run(self) -> None:
        """Run the step as a program of its own.

        Raises:
            WalkError: the engine would not run it to its end, or leave a buffer.
        """
        self.begin()
        self.run_slots(None, alone=True)

    def begin(self) -> None:
        """Fetch what comes before the first tile."""
        f = self.fields
        _need(f.size == isa.DESCRIPTOR_BYTES and f.version == isa.VERSION and f.operation <= MAX_POOL, "refused")
        self._load_parameters()
        self.table = self.buffers.table
        if f.load_table:
            beats = self._beats(f.table_word // self.c["PORT_WORDS"], TABLE_BYTES // self.port_bytes)
            self.beats_before.append(beats)
            self.table = table_number(self.memory.numbers[0, self._bytes(beats)])
        self.buffers.table = self.table
        self.tiles = list(self._tiles())
        self.fetched: list[tuple[Words | None, Words | None]] = [(None, None)] * len(self.tiles)

    def run_slots(self, following: "DescriptorWalk | None", alone: bool = False) -> None:
        """Run all slots, what the next step fetches in them included, and write the counters.

        What may happen at any time in a slot happens where it does most harm: memory is read at its begin and written
        at its end, and no write is answered before the engine waits for it.
        """
        f, c, early = self.fields, self.c, self.fields.early
        _need(not alone or not early, "nothing runs beside which it could be early")
        count, single = len(self.tiles), {name: c[f"{name.upper()}_BUFFERS"] == 1 for name in ("ifmap", "weight")}
        prefetch = next(
            slot
            for slot in range(1, count + 1)
            if slot == count or single["weight"] or self.tiles[slot].weights is None
        )
        for slot in range(1 if early == 2 else 0, count + 2):
            tile = self.tiles[slot] if slot < count else None
            computing = self.tiles[slot - 1] if 0 < slot <= count else None
            storing = self.tiles[slot - 2] if slot > 1 and self.tiles[slot - 2].finishes else None
            wants_map = f.waits & 1 and tile is not None and tile.ifmap is not None
            if slot < 2 and (wants_map or f.waits & (2 if computing else 4)):
                self.memory.drain()
            fetches = [(self, tile, name) for name in single if tile and not (slot == 0 and early > (name == "ifmap"))]
            if slot == count + 1 and following and following.fields.early:
                wanted = following.fields
                if wanted.waits & 4 or (wanted.early == 2 and wanted.waits & 1):
                    self.memory.drain()
                fetches = [(following, following.tiles[0], "weight")]
                if wanted.early == 2:
                    fetches.append((following, following.tiles[0], "ifmap"))
            if storing and c["OFMAP_BUFFERS"] == 1:
                self._store(storing)
            for walk, each, name in fetches:
                walk.turn(name, each)
                if not single[name]:
                    walk.load(name, each)
            if slot == prefetch and following:
                following.begin()
            if computing:
                if computing.finishes and f.residual:
                    self._load_residual(computing)
                self._compute(computing)
            if storing and c["OFMAP_BUFFERS"] == 2:
                self._store(storing)
            for walk, each, name in fetches:
                if single[name]:
                    walk.load(name, each)
            if computing and computing.finishes:
                computing.bases["group_sums"] = self.group_sums
            if tile:
                self.place_sums(tile)
            if slot == count + 1 and following and following.fields.early == 2:
                following.place_sums(following.tiles[0])
        begin, words = f.counter_word, COUNTER_BYTES // c["BYTES"]
        self.counter_words = self._words(self._runs(begin, 1, 1, 0, 0), words)
        self.memory.unanswered[self.counter_words] = True

    def turn(self, name: str, tile: Tile) -> None:
        """Go to the half of a buffer that a tile is fetched to, if it is."""
        halves = self.buffers.halves
        if (tile.ifmap if name == "ifmap" else tile.weights) is not None:
            halves[name] ^= self.c[f"{name.upper()}_BUFFERS"] == 2
        tile.bases[name] = halves[name] * self.c[f"{name.upper()}_DEPTH"]

    def place_sums(self, tile: Tile) -> None:
        """Choose where a tile's sums and the map that is added lie."""
        c, halves = self.c, self.buffers.halves
        tile.bases |= {"sum": halves["sum"] * c["SUM_DEPTH"], "residual": halves["sum"] * c["RESIDUAL_DEPTH"]}
        halves["sum"] ^= tile.finishes and c["OFMAP_BUFFERS"] == 2

    # What is fetched.

    def _runs(
        self, word: int, rows: int, cols: int, col_step: int, row_step: int, odd: tuple[int, int] | None = None
    ) -> Words:
        """Return the first word of each run; ``odd`` where each row and run is made twice."""
        _need(rows and cols, "no rows or columns of runs")
        row, col = np.arange(rows), np.arange(cols)
        if odd is not None:
            row, col = (row + odd[0]) // 2, (col + odd[1]) // 2
        begins: Words = (word + row[:, None] * row_step + col * col_step).reshape(-1) % (1 << AW)
        return begins

    def _words(self, runs: Words, beats: int) -> Words:
        _need(beats, "no beats")
        words: Words = (runs[:, None] + np.arange(beats)).reshape(-1)
        _need(words.max() < self.memory.arena_words, "the arena is left")
        return words

    def _map_words(self, name: str, command: dict[str, int]) -> Words:
        """Return the words of the map memory that the channel words of a tile's pixels take."""
        f, banks = self.fields, self.c["MAP_BANKS"]
        row_step, col_step, ring, end = (
            getattr(f, field)
            for field in (f"{name}_row_step", f"{name}_col_step", f"map_{name}_ring", f"map_{name}_end")
        )
        rows = (command[f"{name}_line"] + np.arange(command["rows"]) * row_step) % (1 << AW)
        rows = rows - ring * (rows >= end)
        bank = command[f"{name}_bank"] + np.arange(command["words"])
        lines = (
            rows[:, None, None]
            + command[f"{name}_col"]
            + np.arange(command["cols"])[:, None] * col_step
            + bank // banks
        )
        _need((lines >= 0).all() and (lines < 2 * self.c["MAP_DEPTH"]).all(), "the map memory is left")
        words: Words = (self.memory.arena_words + lines * banks + bank % banks).reshape(-1)
        return words

    def _channel_lines(self, name: str, index: int) -> tuple[int, int]:
        """Return the line and the bank at which the channels of a tile begin, from those of its pixel."""
        bank = index * getattr(self.fields, f"{name}_tile_banks")
        lines = index * getattr(self.fields, f"{name}_tile_lines")
        return lines + bank // self.c["MAP_BANKS"], bank % self.c["MAP_BANKS"]

    def _beats(self, begin: int, count: int) -> Words:
        beats = begin + np.arange(count)
        _need(count and beats[-1] < self.memory.arena_words // self.c["PORT_WORDS"], "the arena is left")
        return beats

    def _bytes(self, beats: Words) -> Words:
        """Return the bytes of beats of the weight port."""
        places: Words = (beats[:, None] * self.port_bytes + np.arange(self.port_bytes)).reshape(-1)
        return places

    def _load_parameters(self) -> None:
        f, lanes = self.fields, self.c["POST_LANES"]
        beats = self._beats(f.parameter_word // self.c["PORT_WORDS"], f.parameter_beats)
        self.beats_before.append(beats)
        units = self._bytes(beats)[::UNIT_BYTES]
        lines = np.arange(len(units)) // lanes
        _need(lines[-1] < self.c["PARAMETER_DEPTH"], "parameters leave their memory")
        self.parameters = np.full((self.c["PARAMETER_DEPTH"], lanes), self.memory.numbers[0, -1])
        self.parameters[lines, np.arange(len(units)) % lanes] = self.memory.numbers[0, units]

    def load(self, name: str, tile: Tile) -> None:
        """Fetch what of a tile is not in its buffer yet."""
        if name == "ifmap" and tile.ifmap is not None:
            self._load_ifmap(tile.index, tile.ifmap, tile.bases[name])
        if name == "weight" and tile.weights is not None:
            self._load_weights(tile.index, tile.weights, tile.bases[name])

    def _load_ifmap(self, tile: int, command: dict[str, int], base: int) -> None:
        f, c, banks = self.fields, self.c, self.buffers.banks
        words = np.zeros(0, np.int64)
        if command["rows"] and command["cols"] and f.map_in:
            _need(not f.repeat, "a map on chip is repeated")
            words = self._map_words("in", command)
            self.loaded_lines += command["rows"] * command["cols"] * -(-command["words"] // self.line_words)
        elif command["rows"] and command["cols"]:
            odd = (command["odd_row"], command["odd_col"]) if f.repeat else None
            runs = self._runs(command["word"], command["rows"], command["runs"], f.in_col_step, f.in_row_step, odd)
            words = self._words(runs, command["beats"])
            self.memory.check_read(words)
        self._note(tile, 0, words)
        if not len(words):
            return
        _need(command["words"], "no channel words")
        _need(f.stride_width, "no stride")
        index = np.arange(len(words))
        word, column = index % command["words"], index // command["words"] % command["cols"]
        row = index // (command["words"] * command["cols"])
        lanes_on = (command["phase"] + column) // f.stride_width
        lane, slots_on = (command["lane"] + lanes_on) % c["PIXELS"], (command["lane"] + lanes_on) // c["PIXELS"]
        at = base + command["place"] + row * f.d_line + column * f.d_slots - lanes_on * f.d_line + slots_on
        at = (at + word // self.line_words * f.d_group) % (1 << c["IA"])
        _need(((at >= base) & (at < base + c["IFMAP_DEPTH"])).all(), "the ifmap buffer is left")
        banks[lane, word % self.line_words, at] = self._numbers(words)

    def _numbers(self, words: Words) -> Numbers:
        """Return the numbers of words, [words, bytes of a word]."""
        of_words: Numbers = self.memory.numbers[0].reshape(-1, self.c["BYTES"])[words]
        return of_words

    def _load_weights(self, tile: int, command: tuple[int, int], base: int) -> None:
        f, c = self.fields, self.c
        offset, count = command
        if not count:
            self._note(tile, 1, np.zeros(0, np.int64))
            return
        beats = self._beats((f.weight_word // c["PORT_WORDS"] + offset) % (1 << AW), count)
        self._note(tile, 1, beats)
        self.memory.check_read((beats[:, None] * c["PORT_WORDS"] + np.arange(c["PORT_WORDS"])).reshape(-1))
        index = base * c["ROWS"] * c["COLS"] + np.arange(count * self.port_bytes)
        end = (base + c["WEIGHT_DEPTH"]) * c["ROWS"] * c["COLS"]
        _need(index[-1] < end, "the weight buffer is left")
        self.buffers.weights.reshape(3, -1)[:, index] = self.memory.numbers[:, self._bytes(beats)]

    def _note(self, tile: int, which: int, places: Words) -> None:
        fetched = list(self.fetched[tile])
        fetched[which] = places
        self.fetched[tile] = (fetched[0], fetched[1])

    def _load_residual(self, tile: Tile) -> None:
        f, command, base = self.fields, tile.store, tile.bases["residual"]
        cols = 1 if f.whole_res else command["cols"]
        runs = self._runs(command["residual_word"], command["rows"], cols, f.res_col_step, f.res_row_step)
        words = self._words(runs, command["residual_beats"])
        self.memory.check_read(words)
        _need(len(words) <= self.c["RESIDUAL_DEPTH"], "the residual buffer is left")
        self.buffers.residual[base : base + len(words)] = self._numbers(words)

    # Which tile comes next, and its commands.

    def _tiles(self) -> Iterator[Tile]:
        f = self.fields
        keeps, inside = f.loop_order == INPUTS_OUTER, f.loop_order == CHANNELS_OUTER
        dense = f.operation == CONV
        index = out = ins = row = col = weight_at = weight_begin = 0
        fetch_ifmap = fetch_weights = True
        _need(f.tiles_out and f.tiles_in and f.tiles_rows and f.tiles_cols, "no tiles")
        while True:
            out_last, in_last = out == f.tiles_out - 1, ins == f.tiles_in - 1
            rows, cols = self._axis(row, "row"), self._axis(col, "col")
            beats = getattr(f, f"weight_beats_{'last' if out_last else 'full'}_{'last' if in_last else 'full'}")
            yield Tile(
                index=index,
                ifmap=self._ifmap_command(out, ins, rows, cols) if fetch_ifmap else None,
                weights=(weight_at, beats) if fetch_weights else None,
                compute=self._compute_command(out, ins, rows, cols),
                store=self._store_command(out, row, col, rows, cols),
                finishes=in_last and (out_last or not keeps),
            )
            index += 1
            pixels_last = rows.last and cols.last
            if in_last and out_last and pixels_last:
                return
            step_in = not in_last and not (keeps and not out_last)
            step_out = not out_last if keeps else in_last and (pixels_last if inside else not out_last)
            step_pixels = not step_in and not step_out
            again = step_out and inside
            several_pixels, several_ins = f.tiles_rows != 1 or f.tiles_cols != 1, f.tiles_in != 1
            fetch_ifmap = (
                step_pixels
                or step_in
                or (again and several_pixels)
                or (step_out and (not dense or (several_ins and not keeps)))
            )
            fetch_weights = step_in or step_out or several_ins or (f.tiles_out != 1 and not inside)
            end = (weight_at + beats) % (1 << AW)
            weight_at = end if not step_pixels else weight_begin if inside else 0
            if again:
                weight_begin = end
            ins = ins + 1 if step_in else 0 if not keeps or step_pixels else ins
            out = out + 1 if step_out else 0 if keeps or (step_pixels and not inside) else out
            if again:
                row = col = 0
            elif step_pixels:
                row, col = (row + 1, 0) if cols.last else (row, col + 1)

    def _axis(self, index: int, name: str) -> _Position:
        f = self.fields
        down = name == "row"
        last = index == (f.tiles_rows if down else f.tiles_cols) - 1
        padding, limit = (f.pad_top, f.in_height) if down else (f.pad_left, f.in_width)
        position = -padding
        offsets = {"in": getattr(f, f"in_{name}_begin"), "out": 0, "res": 0}
        if index:
            position = _signed(position + index * (f.in_tile_rows if down else f.in_tile_cols), CW + 1)
            offsets = {
                each: _signed(offset + index * getattr(f, f"{each}_tile_{name}_step"), AW) % (1 << AW)
                for each, offset in offsets.items()
            }
        extent = getattr(f, f"in_{'last' if last else 'full'}_{name}s")
        end = _signed(position + extent, CW + 1)
        begin = max(position, 0)
        count = _signed(min(end, limit) - begin, CW + 1)
        return _Position(
            first=index == 0, last=last, position=position, count=max(count, 0), odd=begin & 1, offsets=offsets
        )

    def _run_words(self, offset: int, extent: int, row_end: int) -> tuple[int, int]:
        end, begin = _signed(offset + extent, AW), max(_signed(offset, AW), 0)
        return begin, (min(end, _signed(row_end, AW)) - begin) % (1 << BEATS)

    def _channels(self, out: int, ins: int) -> tuple[int, int]:
        """Return the first channel word of a tile's input, and how many there are."""
        f = self.fields
        if f.operation == CONV:
            first = ins * f.full_in_words if ins else 0
            return first % (1 << CW), f.last_in_words if ins == f.tiles_in - 1 else f.full_in_words
        return self._result_channels(out)

    def _result_channels(self, out: int) -> tuple[int, int]:
        f = self.fields
        words = f.last_out_words if out == f.tiles_out - 1 else f.full_out_words
        return (out * f.full_out_words if out else 0) % (1 << CW), words

    def _ifmap_command(self, out: int, ins: int, rows: _Position, cols: _Position) -> dict[str, int]:
        f = self.fields
        first, words = self._channels(out, ins)
        extent = f.in_last_words if cols.last else f.in_full_words
        begin, beats = self._run_words(cols.offsets["in"], extent, f.in_col_end)
        row = max(_signed(rows.offsets["in"], AW), 0)
        place = (f.in_place_row if rows.first else 0) + (f.in_place if cols.first else 0)
        on_chip = {}
        if f.map_in:
            dense = f.operation == CONV
            lines, bank = self._channel_lines("in" if dense else "out", ins if dense else out)
            on_chip = {"in_line": (row + f.ifmap_word) % (1 << AW), "in_col": begin + lines, "in_bank": bank}
        return on_chip | {
            "word": (row + begin + first + f.ifmap_word) % (1 << AW),
            "rows": rows.count,
            "cols": cols.count,
            "runs": 1 if f.whole_in else cols.count,
            "beats": beats if f.whole_in else words,
            "words": words,
            "odd_row": rows.odd,
            "odd_col": cols.odd,
            "place": place % (1 << self.c["IA"]),
            "lane": f.in_place_lane if cols.first else 0,
            "phase": f.in_place_phase if cols.first else 0,
        }

    def _compute_command(self, out: int, ins: int, rows: _Position, cols: _Position) -> dict[str, int]:
        f = self.fields
        return {
            "zero": ins == 0,
            "follows": f.loop_order == INPUTS_OUTER and out != 0,
            "col_groups": f.col_groups_last if ins == f.tiles_in - 1 else f.col_groups_full,
            "row_groups": f.row_groups_last if out == f.tiles_out - 1 else f.row_groups_full,
            "pixel_groups": f.pixel_groups_last if cols.last else f.pixel_groups_full,
            "rows": f.last_rows if rows.last else f.tile_height,
            "left": cols.position,
            "top": rows.position,
        }

    def _store_command(self, out: int, row: int, col: int, rows: _Position, cols: _Position) -> dict[str, int]:
        f = self.fields
        keeps = f.loop_order == INPUTS_OUTER
        first, words = (0, f.out_run_words) if keeps else self._result_channels(out)
        command = {
            "rows": f.last_rows if rows.last else f.tile_height,
            "cols": f.last_cols if cols.last else f.tile_width,
            "words": words,
            "line": 0 if keeps else out * f.out_tile_groups,
            "first_row": row * f.tile_height % (1 << CW) if row else 0,
            "first_col": col * f.tile_width % (1 << CW) if col else 0,
        }
        maps = {"out": ("result", f.ofmap_word), "res": ("residual", f.residual_word)}
        for name in ("out", "res") if f.residual else ("out",):
            key, begin_of_map = maps[name]
            extent, end = getattr(f, f"{name}_tile_col_step"), getattr(f, f"{name}_col_end")
            begin, beats = self._run_words(cols.offsets[name], extent, end)
            command[f"{key}_word"] = (rows.offsets[name] + begin + first + begin_of_map) % (1 << AW)
            command[f"{key}_beats"] = beats if getattr(f, f"whole_{name}") else words
            if name == "out" and f.map_out:
                lines, command["out_bank"] = self._channel_lines("out", 0 if keeps else out)
                command["out_line"] = (rows.offsets["out"] + f.ofmap_word) % (1 << AW)
                command["out_col"] = begin + lines
        return command

    # What is computed and stored.

    def _taps(self) -> tuple[Words, Words]:
        """Return the rotation and the address of each tap column."""
        f, c = self.fields, self.c
        lines = 1 << c["TW"]
        regular = f.stride_width == 1 and f.dilation_width == 1
        rotations, addresses = [], [0]
        for tap in range(f.kernel_width):
            line = tap % c["PIXELS"] if regular else tap % lines
            _need(line < isa.TAPS, "more taps than the table has")
            value = getattr(f, f"tap_col_{line}")
            rotations.append(value % (1 << c["RW"]))
            if tap < f.kernel_width - 1:
                addresses.append(addresses[-1] + (value >> 8) % (1 << c["IA"]))
        return np.array(rotations), np.array(addresses)

    def _read(self, tile: Tile, line_at: int) -> Numbers:
        """Return the bytes that lanes read, [pixel groups of all rows, taps of all groups, PIXELS, COLS]."""
        f, c, command = self.fields, self.c, tile.compute
        rotation, tap_at = self._taps()
        shape = (command["rows"], command["pixel_groups"], command["col_groups"], f.kernel_height, f.kernel_width)
        _need(all(shape), "a loop without iterations")
        y, group, channels, r, t = (
            np.arange(size).reshape([-1 if axis == each else 1 for each in range(5)]) for axis, size in enumerate(shape)
        )
        at = tile.bases["ifmap"] + line_at + group + tap_at[t]
        for count, size, name in (
            (y, shape[0], "d_out_row"), (channels, shape[2], "d_group"), (r, shape[3], "d_row")
        ):  # fmt: skip
            at = at + (count * getattr(f, name) if size > 1 else 0)
        lane = np.arange(c["PIXELS"])
        turn = rotation[t][..., None]
        bank = (lane + turn) % c["PIXELS"]
        at = (at[..., None] + (bank < turn)) % (1 << c["IA"])
        x = command["left"] + group * (f.x_pixel if shape[1] > 1 else 0) + t * (f.dilation_width if shape[4] > 1 else 0)
        row = command["top"] + y * (f.stride_height if shape[0] > 1 else 0)
        row = row + r * (f.dilation_height if shape[3] > 1 else 0)
        half = 1 << CW
        x, row = (x + half) % (2 * half) - half, (row + half) % (2 * half) - half
        column = x[..., None] + lane * (f.stride_width if f.stride_width in (1, 2, 3) else 4)
        on = (column >= 0) & (column < f.in_width) & ((row >= 0) & (row < f.in_height))[..., None]
        at, bank, on = np.broadcast_arrays(at, bank, on)
        # Lanes beyond the tile may read beyond the buffer: nobody wants their results.
        there = np.minimum(at, self.buffers.banks.shape[2] - 1)
        values = self.buffers.banks[bank, :, there]
        values = np.where((at == there)[..., None, None], values, self.memory.numbers[0, -1])
        padding = _signed(f.pad_value, 8) if c["ZERO_POINT"] else -128 if f.operation == MAX_POOL else 0
        lines = np.where(on[..., None], values.reshape(*on.shape, -1), np.int64(padding).astype(np.uint64))
        return lines.reshape(shape[0] * shape[1], shape[2] * shape[3] * shape[4], c["PIXELS"], c["COLS"])

    def _weights(self, tile: Tile, steps: Words) -> Numbers:
        """Return the weights of steps, a line or half a line each, that are counted from the tile's first one on."""
        base = tile.bases["weight"]
        lines, planes = base + steps, np.zeros_like(steps)
        if self.fields.four_bit_weights:
            lines, planes = base + steps // 2, 1 + steps % 2
        _need((lines < base + self.c["WEIGHT_DEPTH"]).all(), "the weight buffer is left")
        weights: Numbers = self.buffers.weights[planes, lines]
        return weights

    def _compute(self, tile: Tile) -> None:
        f, c, command = self.fields, self.c, tile.compute
        first_sum = self.next_sum if command["follows"] else tile.bases["sum"]
        pixels, groups = command["rows"] * command["pixel_groups"], command["row_groups"]
        _need(pixels and groups, "a loop without iterations")
        taps = command["col_groups"] * f.kernel_height * f.kernel_width
        rows, cols, lanes = c["ROWS"], c["COLS"], c["LANES"]
        if f.operation == CONV:
            values = self._read(tile, 0).transpose(1, 3, 0, 2).reshape(taps * cols, -1)
            weights = self._weights(tile, np.arange(groups * taps).reshape(groups, taps))
            weights = weights.reshape(groups, taps, rows, cols).transpose(0, 2, 1, 3).reshape(groups * rows, -1)
            sums = (weights @ values).reshape(groups, rows, pixels, c["PIXELS"]).transpose(0, 2, 1, 3)
            for group in range(groups):
                self._add(tile, first_sum + group * pixels, slice(None), sums[group])
            self.next_sum = (first_sum + groups * pixels) % (1 << c["OA"])
        else:
            parts, line_parts, row_parts = self.shape.accelerator.channelwise_steps, cols // lanes, rows // lanes
            for group in range(groups):
                line_at = group // line_parts * f.d_group if group >= line_parts else 0
                lane = group % line_parts * lanes + np.arange(lanes)
                values = self._read(tile, line_at)[..., lane]
                sums = values.sum(1)
                if f.operation not in (POOL, MAX_POOL):
                    step = group * taps + np.arange(taps)
                    lines = self._weights(tile, step // parts)
                    chosen = (step % parts * lanes)[:, None] + np.arange(lanes)
                    weights = np.take_along_axis(lines, chosen, 1)
                    sums = (values * weights[None, :, None]).sum(1)
                begin = group % row_parts * lanes
                place = first_sum + group // row_parts * pixels
                self._add(tile, place, slice(begin, begin + lanes), sums.transpose(0, 2, 1))
            self.next_sum = (first_sum + ((groups - 1) // row_parts + 1) * pixels) % (1 << c["OA"])
        self.group_sums = pixels % (1 << c["OA"])

    def _add(self, tile: Tile, place: int, rows: slice, sums: Numbers) -> None:
        """Add sums [places, rows, PIXELS] to those in place, or begin them."""
        base, depth = tile.bases["sum"], self.c["SUM_DEPTH"]
        _need(base <= place and place + len(sums) <= base + depth, "the buffer of sums is left")
        there = self.buffers.sums[place : place + len(sums), rows]
        self.buffers.sums[place : place + len(sums), rows] = sums if tile.compute["zero"] else there + sums

    def _store(self, tile: Tile) -> None:
        f, c, command = self.fields, self.c, tile.store
        shape = (command["rows"], command["cols"], command["words"])
        if f.map_out:
            _need(not f.whole_out, "pixels on chip do not follow each other")
            words = self._map_words("out", command)
            self.stored_lines += command["rows"] * command["cols"] * -(-command["words"] * c["BYTES"] // c["ROWS"])
        else:
            cols = 1 if f.whole_out else command["cols"]
            runs = self._runs(command["result_word"], command["rows"], cols, f.out_col_step, f.out_row_step)
            words = self._words(runs, command["result_beats"])
        _need(all(shape) and len(words) == np.prod(shape), "the store and its write engine wait for each other")
        row, col, word = (index.reshape(-1) for index in np.indices(shape))
        groups = -(-shape[1] // c["PIXELS"])
        parts = c["ROWS"] // c["BYTES"]
        at = tile.bases["sum"] + row * groups + col // c["PIXELS"] + word // parts * tile.bases["group_sums"]
        _need(at.max() < tile.bases["sum"] + c["SUM_DEPTH"], "the buffer of sums is left")
        rows = (word % parts * c["BYTES"])[:, None] + np.arange(c["BYTES"])
        results = self.buffers.sums[at[:, None], rows, (col % c["PIXELS"])[:, None]]
        # A line of parameters is of one word or of all rows.
        line_words = c["POST_LANES"] // c["BYTES"]
        line, in_line = command["line"] + word // line_words, word % line_words
        if f.operation == POOL:
            line = self._class_lines(command, row, col)
        _need(line.max() < c["PARAMETER_DEPTH"], "parameters are not there")
        results = results + self.parameters[line[:, None], in_line[:, None] * c["BYTES"] + np.arange(c["BYTES"])]
        if f.residual:
            added = self.buffers.residual[tile.bases["residual"] + np.arange(len(words))]
            results = results + added * np.uint64(f.residual_multiplier * ADDED[f.residual])
        results = results + self.table
        self.memory.write(words, results)
        self.result_words.append(words)
        self.results.append(results)

    def _class_lines(self, command: dict[str, int], row: Words, col: Words) -> Words:
        f, c = self.fields, self.c
        if not c["EDGES"]:
            return np.zeros_like(row)
        edges = f.edges
        top, bottom, left, right = (edges >> shift & 15 for shift in (0, 4, 8, 12))
        rows = self._classes(command["first_row"], command["rows"], f.out_height, top, bottom)
        cols = self._classes(command["first_col"], command["cols"], f.out_width, left, right)
        lines: Words = ((rows[row] << (edges >> 16)) + cols[col]) % (1 << c["PA"])
        return lines

    @staticmethod
    def _classes(begin: int, count: int, extent: int, low: int, high: int) -> Words:
        high_from = (extent - high) % (1 << CW)
        number = begin if begin <= low else low if begin < high_from else low + begin - high_from + 1
        numbers = []
        for at in range(begin, begin + count):
            numbers.append(number % 16)
            number += at < low or at + 1 >= high_from
        return np.array(numbers)
