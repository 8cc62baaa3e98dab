"""A program as the engine finds it in memory, and as an emitted project keeps it."""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hw_templates.conv_engine import isa, isa5
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.foundation.errors import StorageError
from hw_templates.foundation.json_records import reading

_ON_CHIP = {"ifmap_word": "map_in", "ofmap_word": "map_out"}
"""Places of maps to the fields of newer formats that say that the map stays on chip."""


@dataclass(frozen=True, kw_only=True)
class ProgramFormat:
    """The format of the programs of one implementation of the engine.

    Attributes:
        folder: folder of an emitted project that holds such a program.
        oldest, newest: versions that the engine runs.
        descriptor: one descriptor as a numpy record.
        greatest_place: greatest number of a word.
    """

    folder: str
    oldest: int
    newest: int
    descriptor: np.dtype[np.void]
    greatest_place: int

    @property
    def places(self) -> tuple[str, ...]:
        """Return the fields that say where something lies in memory."""
        return tuple(name for name in self.descriptor.names or () if name.endswith("_word"))

    def in_memory(self, records: npt.NDArray[np.void], place: str) -> npt.NDArray[np.bool_]:
        """Return for which descriptors, [layers], a place lies in memory; the others count lines of the map memory."""
        flag = _ON_CHIP.get(place)
        if flag not in (self.descriptor.names or ()):
            return np.ones(len(records), np.bool_)
        on_chip: npt.NDArray[np.bool_] = records[flag] != 0
        return ~on_chip


FORMATS = {
    Implementation.HLS: ProgramFormat(
        folder="weights",
        oldest=isa.OLDEST,
        newest=isa.VERSION,
        descriptor=isa.DESCRIPTOR,
        greatest_place=2**31 - 1,
    ),
    Implementation.RTL: ProgramFormat(
        folder="isa5",
        oldest=isa5.VERSION,
        newest=isa5.VERSION,
        descriptor=isa5.DESCRIPTOR,
        greatest_place=2**26 - 1,
    ),
}


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program in memory. Places and lengths count words of ``axi_bytes`` bytes.

    Attributes:
        arena: initial content of the first words; what lies behind needs no initial value.
        isa_version: of the program format.
        arena_words: length of the whole arena.
        program_word, layer_count: the engine's two arguments.
        image_word, image_words: where the input map goes, pixel by pixel, channels innermost.
        logits_word, logits_count: where the result is found, one int8 a class.
        counter_word: where the engine writes :data:`hw_templates.conv_engine.isa.COUNTERS` for each layer.
    """

    arena: bytes
    isa_version: int = isa.VERSION
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
    def format(self) -> ProgramFormat:
        """Return the format of the program, by its version."""
        return FORMATS[Implementation.RTL if self.isa_version >= isa5.VERSION else Implementation.HLS]

    @property
    def descriptors(self) -> npt.NDArray[np.void]:
        """Return the descriptors of all layers, read-only records of the format's."""
        return np.frombuffer(self.arena, self.format.descriptor, self.layer_count, self.program_word * self.axi_bytes)

    def layout(self) -> dict[str, int]:
        """Everything but the content, by name."""
        return {name: value for name, value in vars(self).items() if name != "arena"}


def read_program(project: Path, implementation: Implementation = Implementation.HLS) -> Program:
    """The program of an emitted project for one of the engine's implementations.

    Raises:
        StorageError: a file is missing or corrupt, or the program is of another format.
    """
    known = FORMATS[implementation]
    path = project / known.folder / "program.txt"
    with reading(path, "emit it again"):
        layout = {name: int(value) for name, value in (line.split() for line in path.read_text().splitlines())}
        if implementation is Implementation.RTL:
            # Beside the layout lie the sizes of the engine that the program is made for.
            layout = {field.name: layout[field.name] for field in fields(Program) if field.name != "arena"}
        arena = path.with_name("arena.bin")
        with reading(arena, "emit it again"):
            content = arena.read_bytes()
        program = Program(arena=content, **layout)
    if not known.oldest <= program.isa_version <= known.newest:
        raise StorageError(
            f"{path}: a program of format {program.isa_version}, this version knows {known.oldest} to {known.newest}; "
            "emit it again"
        )
    if len(program.arena) > program.arena_words * program.axi_bytes:
        raise StorageError(f"{path}: does not belong to arena.bin; emit it again")
    return program
