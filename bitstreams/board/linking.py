"""Where a program's parts lie in a board's memory: two images, descriptors, content, maps, and apart from them results.

Two slots for images and for logits let the host write the next image and read the last logits while one runs; a table
of descriptors for each slot names its places. What the host reads lies in a buffer of its own, because some boards send
buffers whole. Places count words from the lower of the two buffers, which all ports of the engine get as their base.
"""

import math
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from hw_templates.conv_engine import isa
from hw_templates.conv_engine.program import GREATEST_PLACE, PLACES, Program, in_memory
from hw_templates.foundation.errors import InvalidValueError

_PAGE = 4096


def _offsets(*sizes: int) -> tuple[int, ...]:
    """Return where parts of these sizes begin, each with a page, and at last where the pages end."""
    return tuple(accumulate((math.ceil(size / _PAGE) * _PAGE for size in sizes), initial=0))


class Layout:
    """Sizes and offsets in bytes, each part beginning with a page; those of the two slots are pairs.

    Attributes:
        program: what is laid out.
        repeats: images that the repeated table runs one after the other, all in slot 0.
        image_bytes: size of one image as the engine reads it.
        image_offsets: offsets of the images in the arena.
        table_offsets: offsets of the descriptors in the arena; those of slot 0 are repeated.
        content_offset: offset of the program's own arena in this one.
        arena_bytes: size of the whole arena.
        logits_offsets: offsets of the logits in the results.
        counter_offset: offset of the counters in the results.
        result_bytes: size of all results.
    """

    def __init__(self, program: Program, repeats: int) -> None:
        self.program = program
        self.repeats = repeats
        word, layers = program.axi_bytes, program.layer_count
        self.image_bytes = program.image_words * word
        table_bytes = layers * isa.DESCRIPTOR_BYTES
        images = self.image_bytes, self.image_bytes
        tables = repeats * table_bytes, table_bytes
        *offsets, self.content_offset, self.arena_bytes = _offsets(*images, *tables, program.arena_words * word)
        self.image_offsets, self.table_offsets = offsets[:2], offsets[2:]
        logits_bytes = (program.arena_words - program.logits_word) * word
        counter_bytes = layers * isa.COUNTERS.itemsize
        *self.logits_offsets, self.counter_offset, self.result_bytes = _offsets(
            logits_bytes, logits_bytes, counter_bytes
        )

    def arena(self, arena_address: int, result_address: int) -> bytes:
        """Return the arena's initial content for buffers at these physical addresses.

        Raises:
            InvalidValueError: the buffers lie too far from each other for the program format, or a descriptor names a
                place outside of the program's arena.
        """
        base = min(arena_address, result_address)
        in_arena, in_results = arena_address - base, result_address - base
        if self.arena_words(arena_address, result_address) > GREATEST_PLACE:
            raise InvalidValueError("arena.address", hex(arena_address), f"nearer to {result_address:#x}")
        content = bytearray(self.content_offset)
        for slot, copies in enumerate((self.repeats, 1)):
            table = np.tile(self._table(slot, in_arena, in_results), copies)
            start = self.table_offsets[slot]
            content[start : start + table.nbytes] = table.tobytes()
        return bytes(content) + self.program.arena

    def field_offset(self, name: str) -> int:
        """Return where a field lies in a descriptor, in bytes."""
        fields = isa.DESCRIPTOR.fields
        assert fields is not None
        return int(fields[name][1])

    def arena_words(self, arena_address: int, result_address: int) -> int:
        """Return the words from the lower of the two buffers to the end of the higher one."""
        end = max(arena_address + self.arena_bytes, result_address + self.result_bytes)
        return (end - min(arena_address, result_address)) // self.program.axi_bytes

    def protected_words(self, arena_address: int, result_address: int) -> int:
        """Return the words, from the lower of the two buffers on, that hold what the engine only reads."""
        if result_address < arena_address:
            return 0
        return self.content_offset // self.program.axi_bytes + min(
            self.program.counter_word, len(self.program.arena) // self.program.axi_bytes
        )

    def table_word(self, slot: int, arena_address: int, result_address: int) -> int:
        """Return the engine's ``program_word`` for a slot."""
        offset = arena_address - min(arena_address, result_address) + self.table_offsets[slot]
        return offset // self.program.axi_bytes

    def _table(self, slot: int, in_arena: int, in_results: int) -> npt.NDArray[np.void]:
        """Return a slot's descriptors, for an arena and results that begin these numbers of bytes after the base."""
        program, word = self.program, self.program.axi_bytes
        table = program.descriptors.copy()
        parts = (
            (program.counter_word, program.image_word, in_results + self.counter_offset),
            (program.image_word, program.image_word + program.image_words, in_arena + self.image_offsets[slot]),
            (program.logits_word, program.arena_words, in_results + self.logits_offsets[slot]),
        )
        for name in PLACES:
            place, linking = table[name].astype(np.int64), in_memory(table, name)
            outside = np.flatnonzero(linking & ((place < 0) | (place >= program.arena_words)))
            if len(outside):
                field, value = f"program.layers[{outside[0]}].{name}", int(place[outside[0]])
                raise InvalidValueError(field, value, f"in 0 to {program.arena_words - 1}, within the arena")
            linked = place + (in_arena + self.content_offset) // word
            for first, end, target in parts:
                linked = np.where((place >= first) & (place < end), place - first + target // word, linked)
            table[name] = np.where(linking, linked, place)
        return table
