from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from support.boards.emitted_projects import FUSING, emit_fused_project, emit_random_project

from bitstreams.board.linking import Layout
from hw_templates.conv_engine import isa
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.program import Program, in_memory, read_program
from hw_templates.foundation.errors import InvalidValueError


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    folder = tmp_path_factory.mktemp("linking")
    emit_random_project(
        folder,
        Accelerator(
            pe_rows=8,
            pe_cols=8,
            pe_pixels=2,
            pack=1,
            ifmap_kib=8,
            weight_kib=8,
            ofmap_kib=8,
            axi_bits=64,
            clock_mhz=100,
        ),
        seed=0,
    )
    return read_program(folder)


@pytest.mark.parametrize("addresses", [(0x10000000, 0x10100000), (0x10100000, 0x10000000)])
def test_every_place_of_either_slot_is_where_its_part_lies(program: Program, addresses: tuple[int, int]) -> None:
    layout = Layout(program, repeats=3)
    content, base = layout.arena(*addresses), min(addresses)
    original = np.frombuffer(program.arena, isa.DESCRIPTOR, count=program.layer_count)
    for slot, copies in ((0, 3), (1, 1)):
        start = layout.table_offsets[slot]
        assert layout.table_word(slot, *addresses) * program.axi_bytes + base == addresses[0] + start
        table = np.frombuffer(content, isa.DESCRIPTOR, count=copies * program.layer_count, offset=start)
        for index, record in enumerate(table):
            before = original[index % program.layer_count]

            def address(name: str, record: np.void = record) -> int:
                return int(record[name]) * program.axi_bytes + base

            last = index % program.layer_count == program.layer_count - 1
            counter = (int(before["counter_word"]) - program.counter_word) * program.axi_bytes
            assert address("counter_word") == addresses[1] + layout.counter_offset + counter
            inside = addresses[0] + layout.content_offset + int(before["parameter_word"]) * program.axi_bytes
            assert address("parameter_word") == inside
            if index % program.layer_count == 0:
                assert address("ifmap_word") == addresses[0] + layout.image_offsets[slot]
            if last:
                assert address("ofmap_word") == addresses[1] + layout.logits_offsets[slot]
    assert content[layout.content_offset :] == program.arena


def test_a_place_on_chip_stays_as_it_is(tmp_path: Path) -> None:
    emit_fused_project(tmp_path, FUSING, seed=1)
    program = read_program(tmp_path)
    layout = Layout(program, repeats=1)
    content = layout.arena(0x10000000, 0x10100000)
    table = np.frombuffer(content, isa.DESCRIPTOR, program.layer_count, layout.table_offsets[0])
    for place in ("ifmap_word", "ofmap_word"):
        kept = table[place] == program.descriptors[place]
        assert (kept == ~in_memory(program.descriptors, place)).all()
        assert kept.any()
        assert not kept.all()


def test_relocation_refuses_a_place_outside_of_the_arena_by_itself(program: Program) -> None:
    for place in (-1, program.arena_words, 2**31 - 1):
        records = program.descriptors.copy()
        records["residual_word"][1] = place
        changed = replace(program, arena=records.tobytes() + program.arena[records.nbytes :])
        with pytest.raises(
            InvalidValueError, match=r"program\.layers\[1\]\.residual_word: must be in 0 to \d+, within the"
        ):
            Layout(changed, 2).arena(0x10000000, 0x11000000)


def test_parts_do_not_overlap(program: Program) -> None:
    layout = Layout(program, repeats=5)
    table = program.layer_count * isa.DESCRIPTOR.itemsize
    parts = [
        (layout.image_offsets[0], layout.image_bytes),
        (layout.image_offsets[1], layout.image_bytes),
        (layout.table_offsets[0], 5 * table),
        (layout.table_offsets[1], table),
        (layout.content_offset, program.arena_words * program.axi_bytes),
        (layout.arena_bytes, 0),
    ]
    assert all(start + size <= after for (start, size), (after, _) in pairwise(parts))
    assert layout.logits_offsets[1] >= program.logits_count
    assert layout.counter_offset >= layout.logits_offsets[1] + program.logits_count


def test_buffers_too_far_apart_are_refused(program: Program) -> None:
    with pytest.raises(InvalidValueError, match=r"arena\.address"):
        Layout(program, 1).arena(1 << 40, 0)
    assert Layout(replace(program, axi_bytes=16), 1).image_bytes == 16 * program.image_words
