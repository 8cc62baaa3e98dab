from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.mutations import drive, from_file, mutated_text

from hw_templates.conv_engine import isa
from hw_templates.conv_engine.program import FOLDER, PLACES, Program, in_memory, read_program
from hw_templates.foundation.errors import StorageError

PROGRAM = Program(
    arena=bytes(512),
    axi_bytes=8,
    arena_words=100,
    program_word=0,
    layer_count=1,
    image_word=66,
    image_words=2,
    logits_word=70,
    logits_count=3,
    counter_word=64,
)


def write(folder: Path, program: Program, version: int = isa.VERSION) -> Path:
    """The program as a project keeps it, with a size of its engine among others."""
    (folder / FOLDER).mkdir(exist_ok=True)
    (folder / FOLDER / "arena.bin").write_bytes(program.arena)
    values = {**program.layout(), "isa_version": version, "pe_rows": 4}
    (folder / FOLDER / "program.txt").write_text("".join(f"{name} {value}\n" for name, value in values.items()))
    return folder


def test_a_program_is_read_as_it_was_written_whatever_sizes_its_engine_has(tmp_path: Path) -> None:
    assert read_program(write(tmp_path, PROGRAM)) == PROGRAM
    assert (PROGRAM.descriptors.dtype, len(PROGRAM.descriptors)) == (isa.DESCRIPTOR, 1)
    assert "ofmap_word" in PLACES
    assert "in_words" not in PLACES


def test_a_place_of_a_map_that_stays_on_chip_is_none_in_memory() -> None:
    records = np.zeros(3, isa.DESCRIPTOR)
    records["map_in"], records["map_out"] = (0, 1, 0), (0, 0, 1)
    assert in_memory(records, "ifmap_word").tolist() == [True, False, True]
    assert in_memory(records, "ofmap_word").tolist() == [True, True, False]
    assert in_memory(records, "counter_word").tolist() == [True, True, True]


def test_missing_older_newer_and_corrupt_programs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"program\.txt: is missing; emit it again"):
        read_program(tmp_path)
    write(tmp_path, PROGRAM)
    (tmp_path / FOLDER / "arena.bin").unlink()
    with pytest.raises(StorageError, match=r"arena\.bin: is missing; emit it again"):
        read_program(tmp_path)
    for version in (isa.VERSION - 1, isa.VERSION + 1):
        expected = rf"program\.txt: a program of format {version}, expected {isa.VERSION}; emit it again$"
        with pytest.raises(StorageError, match=expected):
            read_program(write(tmp_path, PROGRAM, version))
    with pytest.raises(StorageError, match=r"does not belong to arena\.bin"):
        read_program(write(tmp_path, replace(PROGRAM, arena_words=63)))
    (tmp_path / FOLDER / "program.txt").write_text("arena_words many\n")
    with pytest.raises(StorageError, match="is corrupt"):
        read_program(tmp_path)


def test_any_spoilt_layout_is_read_or_refused_in_one_line(tmp_path: Path) -> None:
    path = write(tmp_path, PROGRAM) / FOLDER / "program.txt"
    accepted, refused = drive(from_file(path, lambda: read_program(tmp_path)), mutated_text(path.read_text(), 2_000))
    assert accepted > 20
    assert refused > 500
