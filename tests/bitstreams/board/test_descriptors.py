"""What is said of programs, beside what they were made of, and what the engine does with changed ones."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.boards.emitted_projects import emit_random_project
from support.verilog.engines import ENGINES, SMALLEST
from support.verilog.random_engine_chains import random_chain

from bitstreams.board.descriptors import LayerWork, check_program, tiled_layer
from bitstreams.board.linking import Layout
from bitstreams.board.parts import MAPS, parts_of
from bitstreams.twin.board import TwinBoard
from codesign.emit.random_program import random_program
from cost_models.coefficients import load_coefficients
from cost_models.mapping.mapped_layer import MappedLayer
from cost_models.mapping.mapping import LoopOrder, Mapping
from cost_models.mapping.placement import Placement
from cost_models.workload import Layer
from hw_templates.conv_engine import isa, registers
from hw_templates.conv_engine.engine_shape import EngineShape
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.conv_engine.program import Program, read_program
from hw_templates.foundation.errors import CodesignError, InvalidValueError
from hw_templates.operations import Operation

PIXELS_OUTER = LoopOrder.PIXELS_OUTER

WORD = SMALLEST.accelerator.axi_bytes
SEED, CHANGES, MOST_CYCLES = 3, 500, 200_000
"""Changes that are made, and cycles of the longest program that is run of them."""
DECODED = 40
"""Random programs that are decoded, for each engine."""


@pytest.fixture(scope="module")
def program(verilog_project: Path) -> Program:
    return read_program(verilog_project)


def with_fields(program: Program, layer: int, **fields: int) -> Program:
    """The program with fields of one descriptor changed."""
    records = program.descriptors.copy()
    for field, value in fields.items():
        records[field][layer] = value
    start = program.program_word * WORD
    return replace(program, arena=program.arena[:start] + records.tobytes() + program.arena[start + records.nbytes :])


def alone(program: Program, layer: int) -> Program:
    """The program of one layer of a program."""
    return replace(
        program,
        program_word=program.program_word + layer * isa.DESCRIPTOR_BYTES // WORD,
        layer_count=1,
        counter_word=program.counter_word + layer * isa.COUNTERS.itemsize // WORD,
    )


class Bench:
    """The engine of a twin, and the memory that it shares with nobody."""

    def __init__(self, project: Path, implementation: Implementation) -> None:
        self.board = TwinBoard(project, load_coefficients(implementation=implementation))
        self.memory, self.engine = self.board.memory, self.board.engine
        self.registers = registers.REGISTER_MAPS[implementation].engine
        self.engine.reset()

    def _get(self, name: str) -> int:
        register = self.registers[name]
        return sum(self.engine.read(register.offset + 4 * word) << 32 * word for word in range(register.bits // 32))

    def _set(self, name: str, value: int) -> None:
        register = self.registers[name]
        for word in range(register.bits // 32):
            self.engine.write(register.offset + 4 * word, value >> (32 * word) & 0xFFFFFFFF)

    def run(self, program: Program) -> tuple[int, int, int]:
        """Return error code, iterations and cycles of a run, which wrote nothing but maps, logits and counters."""
        layout = Layout(program, 1)
        for address in self.memory.sizes():
            self.memory.free(address)
        arena, results = self.memory.allocate(layout.arena_bytes), self.memory.allocate(layout.result_bytes)
        content = np.frombuffer(layout.arena(arena, results), np.uint8)
        self.memory.physical(arena, len(content))[:] = content
        before = {address: self.memory.physical(address, size).copy() for address, size in self.memory.sizes().items()}
        for port in registers.PORTS:
            self._set(port, arena)
        self._set("program_word", layout.table_word(0, arena, results))
        self._set("layer_count", program.layer_count)
        self._set("arena_words", layout.arena_words(arena, results))
        self._set("protected_words", 0)
        self._set("cycle_limit", 10 * MOST_CYCLES)
        if "watchdog" in self.registers:
            self._set("watchdog", 5_000)
        self._set("control", registers.START)
        while self.engine.read(0) & registers.DONE == 0:
            pass
        maps = parts_of(program, SMALLEST.accelerator)[MAPS]
        counters = layout.counter_offset, program.layer_count * isa.COUNTERS.itemsize
        writable = {
            arena: [(layout.content_offset + maps.start * WORD, len(maps) * WORD)],
            results: [counters, (layout.logits_offsets[0], (program.arena_words - program.logits_word) * WORD)],
        }
        for address, size in self.memory.sizes().items():
            after = self.memory.physical(address, size).copy()
            for first, count in writable[address]:
                after[first : first + count] = before[address][first : first + count]
            assert (after == before[address]).all()
        counted = self.memory.physical(results + counters[0], counters[1]).view(isa.COUNTERS)
        iterations = int(counted["compute_trips"].sum(dtype=np.int64))
        return self._get("status") & registers.STATUS_CODE, iterations, self._get("cycles")


@pytest.fixture
def bench(implementation: Implementation, verilog_project: Path, tmp_path: Path) -> Iterator[Bench]:
    project = verilog_project
    if implementation is Implementation.HLS:
        project = tmp_path / "project"
        emit_random_project(project, SMALLEST.accelerator, seed=1, board_name="pynq-z2")
    made = Bench(project, implementation)
    yield made
    made.board.close()


def test_a_program_as_it_is_emitted_passes_with_all_that_its_layers_touch(program: Program) -> None:
    for record, work in zip(program.descriptors, check_program(program, SMALLEST), strict=True):
        words = {access.field: access.words for access in work.accesses}
        channels = {name: math.ceil(int(record[f"{name}_channels"]) / WORD) for name in ("in", "out")}
        result = int(record["out_height"]) * int(record["out_width"]) * channels["out"]
        assert words.pop("ofmap_word") == result
        assert words.pop("residual_word", 0) == (result if record["residual"] else 0)
        ifmap = int(record["in_height"]) * int(record["in_width"]) * channels["in"]
        # A stride may pass over the last row or column of a map.
        assert 0 <= ifmap - words.pop("ifmap_word") < (int(record["in_width"]) + 1) * channels["in"]
        operation = Operation.of_code(int(record["operation"]))
        assert ("weight_word" in words) == (not operation.is_weightless)
        if operation.reads_gate:
            assert words["weight_word"] == channels["out"]
        elif operation.has_weights:
            assert int(record["weight_word"]) + words["weight_word"] == record["parameter_word"]
        assert {"parameter_word", "table_word", "counter_word"} <= words.keys()


def test_a_place_may_be_moved_to_the_ends_of_its_part_and_not_one_word_further(program: Program) -> None:
    parts = parts_of(program, SMALLEST.accelerator)
    for index, work in enumerate(check_program(program, SMALLEST)):
        for access in work.accesses:
            allowed = [parts[part] for part in access.parts]
            for part in allowed:
                last = part.stop - access.words
                if last < part.start:
                    continue
                for place in (part.start, last):
                    check_program(with_fields(program, index, **{access.field: place}), SMALLEST)
                for place in (part.start - 1, last + 1):
                    if any(place in other and place + access.words - 1 in other for other in allowed):
                        continue  # all of it is in the part beside
                    moved = with_fields(program, index, **{access.field: place})
                    field = rf"program\.layers\[{index}\]\.{access.field}"
                    with pytest.raises(InvalidValueError, match=f"{field}: must be"):
                        check_program(moved, SMALLEST)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"version": 4}, r"version: must be in 5 to 5, as the engine has, got 4"),
        ({"kernel_height": 0}, r"kernel_height: must be in 1 to 127, as the engine has, got 0"),
        ({"operation": 7}, r"operation: must be in 0 to 4, as the engine has, got 7"),
        ({"in_tile_rows": 4095, "tiles_rows": 3}, r"in_tile_rows: must be such that the last window ends below 4096"),
        (
            {"tiles_rows": 2, "out_tile_row_step": 2**25},
            r"out_tile_row_step: must be such that no tile begins 2\^25 off",
        ),
        ({"out_row_step": 10**6}, r"ofmap_word: must be such that its \d+ words lie in the maps .* or the logits"),
        ({"in_row_step": 10**6}, r"ifmap_word: must be such that its \d+ words lie in the image .* or the maps"),
        ({"weight_beats_last_last": 60_000}, r"weight_word: must be such that its \d+ words lie in the content"),
        ({"counter_word": 0}, r"counter_word: must be such that its 8 words lie in the counters"),
    ],
    ids=lambda value: list(value)[-1] if isinstance(value, dict) else "",
)
def test_a_field_that_leads_astray_is_named(program: Program, fields: dict[str, int], message: str) -> None:
    with pytest.raises(InvalidValueError, match=rf"^program\.layers\[1\]\.{message}"):
        check_program(with_fields(program, 1, **fields), SMALLEST)


def test_reserved_fields_must_be_zero(program: Program) -> None:
    records = program.descriptors.copy()
    records["reserved"][2, -1] = 1
    with pytest.raises(InvalidValueError, match=r"^program\.layers\[2\]\.reserved: must be 0, got \[.*1\]$"):
        check_program(replace(program, arena=records.tobytes() + program.arena[records.nbytes :]), SMALLEST)


def test_a_ring_lies_in_the_map_memory_and_its_map_begins_in_it() -> None:
    shape = EngineShape(accelerator=replace(SMALLEST.accelerator, map_kib=1))
    mapping = Mapping(tile_out_channels=8, tile_in_channels=8, tile_height=2, tile_width=5, loop_order=PIXELS_OUTER)
    sizes = {"in_channels": 8, "out_channels": 8, "in_height": 6, "in_width": 5}
    layers = (
        MappedLayer(
            Layer(operation=Operation.CONV, kernel_height=1, kernel_width=1, **sizes), mapping, Placement(ofmap_ring=6)
        ),
        MappedLayer(
            Layer(operation=Operation.DEPTHWISE, kernel_height=3, kernel_width=3, padding=1, **sizes),
            mapping,
            Placement(ifmap_ring=6),
        ),
    )
    program = random_program(layers, shape, 0).program
    assert [len(work.accesses) for work in check_program(program, shape)] == [5, 4]  # the table stays
    depth, ring = shape.accelerator.map_depth, 6 * 5 * 2
    # The first layer's results go to the upper half.
    for layer, fields, message in (
        (0, {"ofmap_word": depth - 1}, rf"layers\[0\].ofmap_word: must be a line of its ring, {depth} to"),
        (0, {"map_out_end": 2 * depth + 1}, r"layers\[0\].map_out_end: must be behind a ring of 60 lines, at most"),
        (1, {"ifmap_word": depth + ring}, rf"layers\[1\].ifmap_word: must be a line of its ring, {depth} to"),
        (1, {"map_in_ring": depth + ring + 1}, r"layers\[1\].map_in_end: must be behind a ring"),
    ):
        with pytest.raises(InvalidValueError, match=message):
            check_program(with_fields(program, layer, **fields), shape)


@pytest.mark.parametrize("name", ["program_word", "counter_word", "image_word", "image_words", "logits_word"])
@pytest.mark.parametrize("value", [-1, 2**31 - 1, 2**40])
def test_parts_that_do_not_follow_each_other_are_refused(program: Program, name: str, value: int) -> None:
    with pytest.raises(InvalidValueError, match=r"program\.\w+(\[\d+\])?(\.\w+)?: must be"):
        check_program(replace(program, **{name: value}), SMALLEST)


def test_a_program_of_another_word_and_one_without_layers_are_refused(program: Program) -> None:
    for changed, message in (
        ({"axi_bytes": 8}, r"program\.axi_bytes: must be 4, the accelerator's, got 8"),
        ({"layer_count": 0}, r"program\.layer_count: must be at least 1"),
        ({"layer_count": 10**6}, r"program\.program_word: must be .* all descriptors lie in the content"),
        ({"logits_count": 10**6}, r"program\.arena_words: must be in"),
        ({"arena_words": 2**26}, r"program\.arena_words: must be in"),
    ):
        with pytest.raises(InvalidValueError, match=message):
            check_program(replace(program, **changed), SMALLEST)


@pytest.mark.parametrize("name", ENGINES)
def test_a_descriptor_says_again_which_layer_in_which_tiles_it_was_made_of(name: str) -> None:
    shape, bands = ENGINES[name], 0
    for seed in range(DECODED):
        chain = random_chain(shape, 3, seed)
        compiled = chain.compiled()
        for record, step in zip(compiled.program.descriptors, compiled.steps, strict=True):
            made = step.tiled
            # What the gate of a scale has in place of weights are 8 bits, whatever the layer says.
            bits = 8 if made.layer.operation.reads_gate else made.layer.weight_bits
            assert tiled_layer(record, shape) == replace(made, layer=replace(made.layer, weight_bits=bits))
            bands += made != chain.nodes[step.layer].tiled
    assert bool(bands) == bool(shape.accelerator.map_kib)


def test_sizes_and_tiles_of_no_layer_are_not_decoded(program: Program) -> None:
    for fields, message in (
        ({"in_height": 4000}, r"descriptor\.out_height: must be \d+, as of its layer"),
        ({"tiles_cols": 4095}, r"descriptor\.tiles_cols: must be \d+, as of its layer, got 4095"),
        ({"out_channels": 2000}, r"descriptor\.tiles_out: must be \d+, as of its layer"),
        ({"operation": 7}, None),
        ({"loop_order": 3}, None),
        ({"tile_height": 0}, None),
    ):
        with pytest.raises((CodesignError, ValueError, ZeroDivisionError), match=message):
            tiled_layer(with_fields(program, 1, **fields).descriptors[1], SMALLEST)


def changes(program: Program, rng: np.random.Generator) -> Iterator[tuple[Program, LayerWork | None]]:
    """Yield programs of one layer with a field or two changed, and what they do where they are not refused."""
    names = [name for name, _, _ in isa.FIELDS]
    for _ in range(CHANGES):
        layer = int(rng.integers(program.layer_count))
        fields = {}
        for name in rng.choice(names, int(rng.integers(1, 3))):
            old = int(program.descriptors[name][layer])
            near, far = old + int(rng.integers(-3, 4)), int(rng.integers(-(2**31), 2**31))
            fields[str(name)] = int(rng.choice([near, near, 0, 1, old // 2, min(2 * old, 2**31 - 1), far]))
        changed = alone(with_fields(program, layer, **fields), layer)
        try:
            (work,) = check_program(changed, SMALLEST)
        except InvalidValueError as error:
            assert str(error).startswith("program.layers[0].")  # noqa: PT017
            assert "\n" not in str(error)  # noqa: PT017
            yield changed, None
        else:
            yield changed, work


def test_what_passes_the_check_stays_inside_on_the_engine_and_ends_in_the_cycles_that_it_may_take(
    program: Program, bench: Bench
) -> None:
    codes = []
    for changed, work in changes(program, np.random.default_rng(SEED)):
        if work is None or work.most_cycles > MOST_CYCLES:
            continue
        code, iterations, cycles = bench.run(changed)
        codes.append(code)
        if code == 0:
            assert iterations == work.iterations
            assert cycles < work.most_cycles
        else:
            # The descriptor stores more or fewer words than it computes.
            assert code in (5, 6)
    assert len(codes) > CHANGES / 6
    assert codes.count(0) > len(codes) / 2
    whole = check_program(program, SMALLEST)
    code, iterations, cycles = bench.run(program)
    assert (code, iterations) == (0, sum(work.iterations for work in whole))
    assert cycles < sum(work.most_cycles for work in whole)
