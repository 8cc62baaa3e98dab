from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.mutations import drive, from_file, mutated_text

from hw_templates.conv_engine import isa, isa5
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.conv_engine.program import FORMATS, Program, read_program
from hw_templates.foundation.errors import StorageError

PROGRAM = Program(
    arena=bytes(64),
    axi_bytes=8,
    arena_words=20,
    program_word=0,
    layer_count=1,
    image_word=10,
    image_words=2,
    logits_word=14,
    logits_count=3,
    counter_word=12,
)


def write(folder: Path, program: Program) -> Path:
    (folder / "weights").mkdir(exist_ok=True)
    (folder / "weights/arena.bin").write_bytes(program.arena)
    (folder / "weights/program.txt").write_text(
        "".join(f"{name} {value}\n" for name, value in program.layout().items())
    )
    return folder


def test_a_program_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert read_program(write(tmp_path, PROGRAM)) == PROGRAM
    older = replace(PROGRAM, isa_version=isa.OLDEST)
    assert read_program(write(tmp_path, older)) == older


def test_a_program_for_the_verilog_lies_beside_the_other_with_the_sizes_of_its_engine(tmp_path: Path) -> None:
    program = replace(PROGRAM, arena=bytes(512), arena_words=100, isa_version=isa5.VERSION)
    (tmp_path / "isa5").mkdir()
    (tmp_path / "isa5/arena.bin").write_bytes(program.arena)
    lines = "".join(f"{name} {value}\n" for name, value in {**program.layout(), "pe_rows": 4}.items())
    (tmp_path / "isa5/program.txt").write_text(lines)
    assert read_program(tmp_path, Implementation.RTL) == program
    assert (program.descriptors.dtype, PROGRAM.format.descriptor) == (isa5.DESCRIPTOR, isa.DESCRIPTOR)
    assert "ofmap_word" in program.format.places
    assert "in_words" not in program.format.places
    (tmp_path / "isa5/program.txt").write_text(lines.replace("isa_version 5", "isa_version 4"))
    with pytest.raises(StorageError, match=r"isa5/program\.txt: a program of format 4, this version knows 5 to 5; "):
        read_program(tmp_path, Implementation.RTL)


def test_a_place_of_a_map_that_stays_on_chip_is_none_in_memory() -> None:
    names = ("ifmap_word", "ofmap_word", "counter_word", "map_in", "map_out")
    newer = replace(FORMATS[Implementation.RTL], descriptor=np.dtype([(name, "<i4") for name in names]))
    records = np.array([(1, 2, 3, 0, 0), (1, 2, 3, 1, 0), (1, 2, 3, 0, 1)], newer.descriptor)
    assert newer.in_memory(records, "ifmap_word").tolist() == [True, False, True]
    assert newer.in_memory(records, "ofmap_word").tolist() == [True, True, False]
    assert newer.in_memory(records, "counter_word").tolist() == [True, True, True]
    assert PROGRAM.format.in_memory(np.zeros(2, isa.DESCRIPTOR), "ifmap_word").tolist() == [True, True]


def test_missing_newer_and_corrupt_programs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"program\.txt: is missing; emit it again"):
        read_program(tmp_path)
    write(tmp_path, PROGRAM)
    (tmp_path / "weights/arena.bin").unlink()
    with pytest.raises(StorageError, match=r"arena\.bin: is missing; emit it again"):
        read_program(tmp_path)
    with pytest.raises(StorageError, match="this version knows"):
        read_program(write(tmp_path, replace(PROGRAM, isa_version=isa.VERSION + 1)))
    with pytest.raises(StorageError, match=r"format 3, .* emit it again"):
        read_program(write(tmp_path, replace(PROGRAM, isa_version=isa.OLDEST - 1)))
    with pytest.raises(StorageError, match=r"does not belong to arena\.bin"):
        read_program(write(tmp_path, replace(PROGRAM, arena_words=3)))
    (tmp_path / "weights/program.txt").write_text("arena_words many\n")
    with pytest.raises(StorageError, match="is corrupt"):
        read_program(tmp_path)


@pytest.mark.parametrize("implementation", Implementation)
def test_any_spoilt_layout_is_read_or_refused_in_one_line(implementation: Implementation, tmp_path: Path) -> None:
    known = FORMATS[implementation]
    folder = write(tmp_path, replace(PROGRAM, isa_version=known.newest)) / "weights"
    path = folder.rename(tmp_path / known.folder) / "program.txt"
    text = path.read_text()
    accepted, refused = drive(
        from_file(path, lambda: read_program(tmp_path, implementation)), mutated_text(text, 2_000)
    )
    assert accepted > 20
    assert refused > 500
