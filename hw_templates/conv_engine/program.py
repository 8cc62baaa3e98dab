"""A program as the engine finds it in memory, and as an emitted project keeps it."""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hw_templates.conv_engine import isa
from hw_templates.foundation.errors import StorageError
from hw_templates.foundation.json_records import reading

FOLDER = "program"
"""Folder of an emitted project that holds its program."""

PLACES = tuple(name for name, _, _ in isa.FIELDS if name.endswith("_word"))
"""Fields of a descriptor that say where something lies in memory."""

GREATEST_PLACE = 2**26 - 1
"""Greatest number of a word in memory."""

_ON_CHIP = {"ifmap_word": "map_in", "ofmap_word": "map_out"}
"""Places of maps to the fields that say that the map stays on chip."""


def in_memory(records: npt.NDArray[np.void], place: str) -> npt.NDArray[np.bool_]:
    """Return for which descriptors, [layers], a place lies in memory; the others count lines of the map memory."""
    flag = _ON_CHIP.get(place)
    if flag is None:
        return np.ones(len(records), np.bool_)
    off_chip: npt.NDArray[np.bool_] = records[flag] == 0
    return off_chip


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program in memory. Places and lengths count words of ``axi_bytes`` bytes.

    Attributes:
        arena: initial content of the first words; what lies behind needs no initial value.
        arena_words: length of the whole arena.
        program_word, layer_count: where the descriptors begin, and how many there are.
        image_word, image_words: where the input map goes, pixel by pixel, channels innermost.
        logits_word, logits_count: where the result is found, one int8 a class.
        counter_word: where the engine writes :data:`hw_templates.conv_engine.isa.COUNTERS` for each layer.
    """

    arena: bytes
    axi_bytes: int
    arena_words: int
    program_word: int
    layer_count: int
    image_word: int
    image_words: int
    logits_word: int
    logits_count: int
    counter_word: int

    @property
    def descriptors(self) -> npt.NDArray[np.void]:
        """Return the descriptors of all layers, read-only records of :data:`isa.DESCRIPTOR`."""
        return np.frombuffer(self.arena, isa.DESCRIPTOR, self.layer_count, self.program_word * self.axi_bytes)

    def layout(self) -> dict[str, int]:
        """Everything but the content, by name."""
        return {name: value for name, value in vars(self).items() if name != "arena"}


def read_program(project: Path) -> Program:
    """Return the program of an emitted project.

    Raises:
        StorageError: a file is missing or corrupt, or the program is of another format.
    """
    path = project / FOLDER / "program.txt"
    with reading(path, "emit it again"):
        lines = (line.split() for line in path.read_text().splitlines())
        layout = {name: int(value) for name, value in lines}
        # Beside the layout lie the sizes of the engine that the program is made for.
        version = layout["isa_version"]
        arena = path.with_name("arena.bin")
        with reading(arena, "emit it again"):
            content = arena.read_bytes()
        known = (field.name for field in fields(Program) if field.name != "arena")
        program = Program(arena=content, **{name: layout[name] for name in known})
    if version != isa.VERSION:
        raise StorageError(f"{path}: a program of format {version}, expected {isa.VERSION}; emit it again")
    if len(program.arena) > program.arena_words * program.axi_bytes:
        raise StorageError(f"{path}: does not belong to arena.bin; emit it again")
    return program
