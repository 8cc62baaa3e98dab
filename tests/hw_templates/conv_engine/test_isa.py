import re

import numpy as np

from hw_templates.board import load_board
from hw_templates.conv_engine import isa
from hw_templates.conv_engine.space import AcceleratorSpace
from hw_templates.operations import Operation
from hw_templates.project.render import render

PATTERNS = {
    "hls/engine_format.h": (r"^    AT_(\w+) = (\d+),", r"^constexpr int OPERATION_(\w+) = (\d+);"),
    "rtl/engine_format.vh": (r"^`define AT_(\w+) +(\d+)  ", r"^`define OPERATION_(\w+) (\d+)"),
}
"""Sources of an emitted project, and what in them names a field of a descriptor, and an operation."""


def found_in_sources(kind: int) -> list[list[tuple[str, int]]]:
    """Names with their numbers, in each language in order."""
    space = AcceleratorSpace(load_board("pynq-z2"))
    texts = render(space.sample(np.random.default_rng(0), 1)[0], space.board)
    found = (re.findall(patterns[kind], texts[path], re.MULTILINE) for path, patterns in PATTERNS.items())
    return [[(name.lower(), int(number)) for name, number in names] for names in found]


def test_the_sources_of_both_engines_have_the_records_fields_where_it_has_them() -> None:
    assert isa.DESCRIPTOR.fields is not None
    places = [(name, isa.DESCRIPTOR.fields[name][1] // 4) for name, _, _ in isa.FIELDS]
    assert [index for _, index in places] == list(range(len(isa.FIELDS)))
    assert found_in_sources(0) == [places, places]


def test_codes_of_operations_stand_in_the_sources() -> None:
    codes = {(operation.name.lower(), operation.code) for operation in Operation}
    assert [set(found) for found in found_in_sources(1)] == [codes, codes]


def test_sizes_are_whole_words_of_every_port() -> None:
    for axi_bytes in (4, 8, 16):
        assert isa.DESCRIPTOR.itemsize % axi_bytes == 0
        assert isa.COUNTERS.itemsize % axi_bytes == 0
        assert isa.TABLE_BYTES % axi_bytes == 0
        assert isa.MAX_CHANNELS % axi_bytes == 0
    assert isa.DESCRIPTOR.itemsize == isa.DESCRIPTOR_BYTES
    assert isa.PARAMETERS.itemsize == 8
