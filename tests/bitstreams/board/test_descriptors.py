"""What is read in and said of a program, beside what it was made of, what it touches, and what a twin's engine does."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.boards.address_trace import touched
from support.boards.emitted_projects import FUSING, emit_fused_project, emit_random_project
from support.boards.twins import ACCELERATOR

from bitstreams.board.descriptors import accesses, check_program, descriptor_layer, mapped_layers
from bitstreams.board.linking import Layout
from bitstreams.twin.fabric import Fabric, build_fabric
from bitstreams.twin.memory import TwinMemory
from cost_models.workload import Operation
from hw_templates.conv_engine import isa
from hw_templates.conv_engine.program import Program, read_program
from hw_templates.foundation.errors import BoardError, CodesignError, InvalidValueError


def records_of(program: Program) -> np.ndarray:
    start = program.program_word * program.axi_bytes
    return np.frombuffer(program.arena, isa.DESCRIPTOR, program.layer_count, start)


def with_field(program: Program, layer: int, field: str, value: int) -> Program:
    """The program with one field of one descriptor changed."""
    records = records_of(program).copy()
    records[field][layer] = value
    start = program.program_word * program.axi_bytes
    end = start + records.nbytes
    return replace(program, arena=program.arena[:start] + records.tobytes() + program.arena[end:])


def parts_of(program: Program, field: str, gates: bool) -> list[range]:
    """Where what a field places may lie, as the program's layout says."""
    image_end = program.image_word + program.image_words
    maps, image = range(image_end, program.logits_word), range(program.image_word, image_end)
    if field in ("ifmap_word", "residual_word") or (field == "weight_word" and gates):
        return [image, maps]
    if field == "ofmap_word":
        return [maps, range(program.logits_word, program.arena_words)]
    if field == "counter_word":
        return [range(program.counter_word, program.counter_word + program.layer_count * 32 // program.axi_bytes)]
    return [range(len(program.arena) // program.axi_bytes)]


@pytest.mark.parametrize("seed", range(3))
def test_programs_as_they_are_emitted_pass_and_say_all_that_they_touch(seed: int, tmp_path: Path) -> None:
    emit_random_project(tmp_path / "plain", ACCELERATOR, seed)
    emit_fused_project(tmp_path / "fused", FUSING, seed)
    for name, accelerator in (("plain", ACCELERATOR), ("fused", FUSING)):
        program = read_program(tmp_path / name)
        for record, said in zip(records_of(program), check_program(program, accelerator), strict=True):
            layer, mapping = descriptor_layer(record)
            found = touched(record, layer, mapping, accelerator)
            assert {access.field for access in said} == found.keys()
            for access in said:
                words = found[access.field]
                assert min(words) == int(record[access.field])
                # A stride may pass over the last row or column of a map.
                if access.field == "ifmap_word":
                    assert max(words) < int(record[access.field]) + access.words
                else:
                    assert max(words) == int(record[access.field]) + access.words - 1


@pytest.fixture(scope="module")
def program(zynq_project: Path) -> Program:
    return read_program(zynq_project)


class Bench:
    """A fabric that runs programs as a driver would have them in memory, and nothing around them."""

    def __init__(self, project: Path) -> None:
        self.memory = TwinMemory()
        self.fabric = Fabric(build_fabric(project), self.memory)
        self.fabric.reset()

    def run(self, program: Program) -> str | None:
        """Why the program did not finish."""
        layout = Layout(program, 1)
        for address in self.memory.sizes():
            self.memory.free(address)
        arena, results = self.memory.allocate(layout.arena_bytes), self.memory.allocate(layout.result_bytes)
        content = layout.arena(arena, results)
        self.memory.physical(arena, len(content))[:] = np.frombuffer(content, np.uint8)
        self.fabric.start([arena] * 4, layout.table_word(0, arena, results), program.layer_count)
        try:
            while not self.fabric.has_finished():
                time.sleep(1e-4)
        except BoardError as error:
            return str(error)
        return None


@pytest.fixture(scope="module")
def bench(zynq_project: Path) -> Iterator[Bench]:
    made = Bench(zynq_project)
    yield made
    made.fabric.stop()
    made.memory.close()


changes = st.one_of(
    st.tuples(st.sampled_from(isa.PLACES), st.integers(-40, 40)),
    st.tuples(st.sampled_from(isa.PLACES), st.integers(-(2**31), 2**31 - 1)),
    st.tuples(st.sampled_from(isa.FIELDS), st.integers(-3, 40)),
    st.tuples(st.sampled_from(isa.FIELDS), st.integers(-(2**31), 2**31 - 1)),
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(layer=st.integers(0, 10**6), change=changes, relative=st.booleans())
def test_a_change_that_leads_outside_is_refused_and_what_passes_stays_inside_on_the_engine(
    program: Program, bench: Bench, layer: int, change: tuple[str, int], relative: bool
) -> None:
    layer, (field, value) = layer % program.layer_count, change
    before = int(records_of(program)[field][layer])
    changed = with_field(program, layer, field, int(np.int64(before + value if relative else value).astype(np.int32)))
    try:
        check_program(changed, ACCELERATOR)
    except InvalidValueError as error:
        assert str(error).startswith(f"program.layers[{layer}]")  # noqa: PT017
        assert "\n" not in str(error)  # noqa: PT017
        return
    record = records_of(changed)[layer]
    shape, mapping = descriptor_layer(record)
    for name, words in touched(record, shape, mapping, ACCELERATOR).items():
        parts = parts_of(changed, name, gates=shape.operation == Operation.SCALE)
        assert any(min(words) in part and max(words) in part for part in parts), name
    assert bench.run(changed) is None


def test_a_place_may_be_moved_to_the_ends_of_its_part_and_not_one_word_further(program: Program) -> None:
    for index, record in enumerate(records_of(program)):
        layer, mapping = descriptor_layer(record)
        for access in accesses(record, layer, mapping, ACCELERATOR):
            parts = parts_of(program, access.field, gates=layer.operation == Operation.SCALE)
            for part in parts:
                last = part.stop - access.words
                if last < part.start:
                    continue
                for place in (part.start, last):
                    check_program(with_field(program, index, access.field, place), ACCELERATOR)
                for place in (part.start - 1, last + 1):
                    if any(place in other and place + access.words - 1 in other for other in parts):
                        continue  # all of it is in the part beside
                    with pytest.raises(
                        InvalidValueError, match=rf"program\.layers\[{index}\]\.{access.field}: must be"
                    ):
                        check_program(with_field(program, index, access.field, place), ACCELERATOR)


@pytest.mark.parametrize("name", ["program_word", "counter_word", "image_word", "image_words", "logits_word"])
@pytest.mark.parametrize("value", [-1, 2**31 - 1, 2**40])
def test_parts_that_do_not_follow_each_other_are_refused(program: Program, name: str, value: int) -> None:
    with pytest.raises(InvalidValueError, match=r"program\.\w+(\[\d+\])?(\.\w+)?: must be"):
        check_program(replace(program, **{name: value}), ACCELERATOR)


def test_a_program_of_another_word_and_one_without_layers_are_refused(program: Program) -> None:
    for changes, message in (
        ({"axi_bytes": 4}, r"program\.axi_bytes: must be 8, the accelerator's, got 4"),
        ({"layer_count": 0}, r"program\.layer_count: must be at least 1"),
        ({"layer_count": 10**6}, r"program\.program_word: must be .* all descriptors lie in the content"),
        ({"logits_count": 10**6}, r"program\.arena_words: must be in"),
        ({"arena_words": 2**31}, r"program\.arena_words: must be in"),
    ):
        with pytest.raises(InvalidValueError, match=message):
            check_program(replace(program, **changes), ACCELERATOR)


def test_groups_that_the_engine_cannot_run_are_refused(tmp_path: Path) -> None:
    emit_fused_project(tmp_path, FUSING, 1)
    program = read_program(tmp_path)
    records = records_of(program)
    first = int(np.flatnonzero(records["group_layers"])[0])
    for field, value in (("group_layers", 5), ("group_layers", -1), ("band_height", 0), ("ofmap_ring", 1000)):
        with pytest.raises(InvalidValueError, match=rf"program\.layers\[{first}\]"):
            check_program(with_field(program, first, field, value), FUSING)
    with pytest.raises(InvalidValueError, match="no more than the layers that are left"):
        check_program(with_field(program, len(records) - 1, "group_layers", 2), FUSING)


def test_relocation_refuses_a_place_outside_of_the_arena_by_itself(program: Program) -> None:
    for place in (-1, program.arena_words, 2**31 - 1):
        changed = with_field(program, 1, "residual_word", place)
        with pytest.raises(
            CodesignError, match=r"program\.layers\[1\]\.residual_word: must be in 0 to \d+, within the"
        ):
            Layout(changed, 2).arena(0x10000000, 0x11000000)


@pytest.mark.parametrize("seed", range(4))
def test_a_program_says_again_what_it_was_compiled_from(seed: int, tmp_path: Path) -> None:
    placements = emit_fused_project(tmp_path, FUSING, seed)
    program = read_program(tmp_path)
    records = np.frombuffer(program.arena, isa.DESCRIPTOR, program.layer_count)
    mapped = mapped_layers(records)
    assert [ran.placement for ran in mapped] == list(placements)
    emitted = json.loads((tmp_path / "project.json").read_text())["layers"]
    for record, layer, ran in zip(records, emitted, mapped, strict=True):
        assert json.loads(json.dumps(vars(ran.mapping))) == layer["mapping"]
        assert (ran.layer.out_height, ran.layer.out_width) == (record["out_height"], record["out_width"])


def test_what_no_engine_runs_is_refused() -> None:
    with pytest.raises((CodesignError, ValueError)):
        descriptor_layer(np.full(1, -1, "<i4").repeat(isa.DESCRIPTOR_FIELDS).view(isa.DESCRIPTOR)[0])
