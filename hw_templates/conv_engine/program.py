"""A program as the engine finds it in memory, and as an emitted project keeps it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hw_templates.conv_engine import isa
from hw_templates.foundation.errors import StorageError
from hw_templates.foundation.json_records import reading


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
    def descriptors(self) -> npt.NDArray[np.void]:
        """Return the descriptors of all layers, read-only records of :data:`isa.DESCRIPTOR`."""
        return np.frombuffer(self.arena, isa.DESCRIPTOR, self.layer_count, self.program_word * self.axi_bytes)

    def layout(self) -> dict[str, int]:
        """Everything but the content, by name."""
        return {name: value for name, value in vars(self).items() if name != "arena"}


def read_program(project: Path) -> Program:
    """The program of an emitted project.

    Raises:
        StorageError: a file is missing or corrupt, or the program is of another format.
    """
    path = project / "weights/program.txt"
    with reading(path, "emit it again"):
        layout = {name: int(value) for name, value in (line.split() for line in path.read_text().splitlines())}
        arena = path.with_name("arena.bin")
        with reading(arena, "emit it again"):
            content = arena.read_bytes()
        program = Program(arena=content, **layout)
    if not isa.OLDEST <= program.isa_version <= isa.VERSION:
        raise StorageError(
            f"{path}: a program of format {program.isa_version}, this version knows {isa.OLDEST} to {isa.VERSION}; "
            "emit it again"
        )
    if len(program.arena) > program.arena_words * program.axi_bytes:
        raise StorageError(f"{path}: does not belong to arena.bin; emit it again")
    return program
