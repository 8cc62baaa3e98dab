"""The parts of a program in memory, and the rule that what a layer reads or writes lies in one of them.

A program is relocated part by part (:mod:`bitstreams.board.linking`): an access that begins in one part must end in
it, or it would reach whatever lies behind that part on the board.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hw_templates.conv_engine import isa
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.program import GREATEST_PLACE, PLACES, Program, in_memory
from hw_templates.foundation.errors import InvalidValueError

CONTENT, COUNTERS, IMAGE, MAPS, LOGITS = "content", "counters", "image", "maps", "logits"

_ON_WEIGHT_PORT = ("weight_word", "parameter_word", "table_word")
"""Places of what the weight port reads, which moves several words at once and begins at a multiple of them."""

Rule = tuple[str, bool, str]
"""A field of a program or of a descriptor, whether it holds what it may, and what that is."""


@dataclass(frozen=True)
class Access:
    """Consecutive words that one layer reads or writes, from the place on that a field of its descriptor holds.

    Attributes:
        field: of the descriptor.
        words: how many.
        parts: of the program in which they may lie.
    """

    field: str
    words: int
    parts: tuple[str, ...]


def parts_of(program: Program, accelerator: Accelerator) -> dict[str, range]:
    """Return the words of each part of a program; the parts follow each other.

    Raises:
        InvalidValueError: they do not, or the program is of another accelerator.
    """
    word = accelerator.axi_bytes
    # The arena holds the counters, too.
    content = min(len(program.arena) // word, max(0, program.counter_word))
    table_words = program.layer_count * isa.DESCRIPTOR_BYTES // word
    counter_words = program.layer_count * isa.COUNTERS.itemsize // word
    image_end = program.image_word + program.image_words
    logits_end = program.logits_word + math.ceil(program.logits_count / word)
    port, last, most = accelerator.weight_port_words, content - table_words, GREATEST_PLACE
    least = {
        "counter_word": content,
        "image_word": program.counter_word + counter_words,
        "image_words": 1,
        "logits_word": image_end,
        "arena_words": logits_end,
    }
    rules: tuple[Rule, ...] = (
        ("axi_bytes", program.axi_bytes == word, f"{word}, the accelerator's"),
        ("layer_count", program.layer_count >= 1, "at least 1"),
        ("logits_count", program.logits_count >= 1, "at least 1"),
        (
            "program_word",
            program.program_word in range(0, last + 1, port),
            f"a multiple of {port} from 0 to {last}, so that all descriptors lie in the content",
        ),
        *((name, bound <= getattr(program, name) <= most, f"in {bound} to {most}") for name, bound in least.items()),
    )
    for name, holds, expected in rules:
        if not holds:
            raise InvalidValueError(f"program.{name}", getattr(program, name), expected)
    return {
        CONTENT: range(content),
        COUNTERS: range(program.counter_word, program.counter_word + counter_words),
        IMAGE: range(program.image_word, image_end),
        MAPS: range(image_end, program.logits_word),
        LOGITS: range(program.logits_word, program.arena_words),
    }


def access_rules(
    record: np.void, accesses: Sequence[Access], parts: Mapping[str, range], program: Program, accelerator: Accelerator
) -> Iterator[Rule]:
    """Yield the rules of all places in a descriptor, whose layer makes these accesses."""
    for access in accesses:
        first = int(record[access.field])
        allowed = {part: parts[part] for part in access.parts}
        inside = any(words.start <= first <= words.stop - access.words for words in allowed.values())
        places = " or ".join(f"the {part} ({words.start} to {words.stop})" for part, words in allowed.items())
        yield access.field, inside, f"such that its {access.words} words lie in {places}"
        if access.field in _ON_WEIGHT_PORT:
            multiple = accelerator.weight_port_words
            yield access.field, first % multiple == 0, f"a multiple of {multiple}"
    for field in PLACES:
        if in_memory(np.array([record]), field)[0]:
            yield field, 0 <= record[field] < program.arena_words, f"in 0 to {program.arena_words - 1}"
