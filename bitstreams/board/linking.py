"""Where a program's parts lie in a board's memory: two images, descriptors, content, maps, and apart from them results.

Two slots for images and for logits let the host write the next image and read the last logits while one runs; a table
of descriptors for each slot names its places. What the host reads lies in a buffer of its own, because some boards send
buffers whole. Places count words from the lower of the two buffers, which all ports of the engine get as their base.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hw_templates.conv_engine import isa
from hw_templates.conv_engine.program import Program
from hw_templates.foundation.errors import InvalidValueError

_PAGE = 4096


def _pages(size: int) -> int:
    return -(-size // _PAGE) * _PAGE


@dataclass(frozen=True)
class Layout:
    """Sizes and offsets in bytes, each part beginning with a page.

    Attributes:
        program: what is laid out.
        repeats: images that the repeated table runs one after the other, all in slot 0.
    """

    program: Program
    repeats: int

    @property
    def image_bytes(self) -> int:
        """Return the bytes of one image as the engine reads it."""
        return self.program.image_words * self.program.axi_bytes

    def image_offset(self, slot: int) -> int:
        """Return the offset of an image in the arena."""
        return slot * _pages(self.image_bytes)

    @property
    def _table_bytes(self) -> int:
        return self.program.layer_count * isa.DESCRIPTOR.itemsize

    def table_offset(self, slot: int) -> int:
        """Return the offset of a slot's descriptors in the arena; those of slot 0 are repeated."""
        start = 2 * _pages(self.image_bytes)
        return start if slot == 0 else start + _pages(self.repeats * self._table_bytes)

    @property
    def content_offset(self) -> int:
        """Return the offset of the program's own arena in this one."""
        return self.table_offset(1) + _pages(self._table_bytes)

    @property
    def arena_bytes(self) -> int:
        """Return the bytes of the whole arena."""
        return self.content_offset + _pages(self.program.arena_words * self.program.axi_bytes)

    @property
    def _logits_bytes(self) -> int:
        return (self.program.arena_words - self.program.logits_word) * self.program.axi_bytes

    def logits_offset(self, slot: int) -> int:
        """Return the offset of a slot's logits in the results."""
        return slot * _pages(self._logits_bytes)

    @property
    def counter_offset(self) -> int:
        """Return the offset of the counters in the results."""
        return 2 * _pages(self._logits_bytes)

    @property
    def result_bytes(self) -> int:
        """Return the bytes of all results."""
        return self.counter_offset + _pages(self.program.layer_count * isa.COUNTERS.itemsize)

    def arena(self, arena_address: int, result_address: int) -> bytes:
        """Return the arena's initial content for buffers at these physical addresses.

        Raises:
            InvalidValueError: the buffers lie too far from each other for the program format, or a descriptor names a
                place outside of the program's arena.
        """
        base = min(arena_address, result_address)
        in_arena, in_results = arena_address - base, result_address - base
        far = max(in_arena + self.arena_bytes, in_results + self.result_bytes) // self.program.axi_bytes
        if far > np.iinfo(np.int32).max:
            raise InvalidValueError("arena.address", hex(arena_address), f"nearer to {result_address:#x}")
        tables = [self._table(slot, in_arena, in_results) for slot in (0, 1)]
        content = bytearray(self.content_offset)
        for slot, table in enumerate([np.tile(tables[0], self.repeats), tables[1]]):
            start = self.table_offset(slot)
            content[start : start + table.nbytes] = table.tobytes()
        return bytes(content) + self.program.arena

    def table_word(self, slot: int, arena_address: int, result_address: int) -> int:
        """Return the engine's ``program_word`` for a slot."""
        offset = arena_address - min(arena_address, result_address) + self.table_offset(slot)
        return offset // self.program.axi_bytes

    def _table(self, slot: int, in_arena: int, in_results: int) -> npt.NDArray[np.void]:
        """Return a slot's descriptors, for an arena and results that begin these numbers of bytes after the base."""
        program, word = self.program, self.program.axi_bytes
        table = program.descriptors.copy()
        parts = (
            (program.counter_word, program.image_word, in_results + self.counter_offset),
            (program.image_word, program.image_word + program.image_words, in_arena + self.image_offset(slot)),
            (program.logits_word, program.arena_words, in_results + self.logits_offset(slot)),
        )
        for name in isa.PLACES:
            place = table[name].astype(np.int64)
            outside = np.flatnonzero((place < 0) | (place >= program.arena_words))
            if len(outside):
                field, value = f"program.layers[{outside[0]}].{name}", int(place[outside[0]])
                raise InvalidValueError(field, value, f"in 0 to {program.arena_words - 1}, within the arena")
            linked = place + (in_arena + self.content_offset) // word
            for first, end, target in parts:
                linked = np.where((place >= first) & (place < end), place - first + target // word, linked)
            table[name] = linked
        return table
