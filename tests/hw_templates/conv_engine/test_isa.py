import re

import numpy as np

from hw_templates.board import load_board
from hw_templates.conv_engine import isa
from hw_templates.conv_engine.space import AcceleratorSpace
from hw_templates.operations import Operation
from hw_templates.project.render import render


def header() -> str:
    """The C++ header of the format, as projects hold it."""
    space = AcceleratorSpace(load_board("pynq-z2"))
    return render(space.sample(np.random.default_rng(0), 1)[0], space.board)["include/isa.h"]


def test_record_and_header_have_the_same_fields_in_the_same_order() -> None:
    members = re.findall(r"^    int32_t (\w+);", header(), re.MULTILINE)
    assert members == list(isa.FIELDS)
    unpacked = re.findall(r"d\.(\w+) = fields\[(\d+)\];", header())
    for name, index in unpacked:
        assert isa.DESCRIPTOR.fields is not None
        assert isa.DESCRIPTOR.fields[name][1] == 4 * int(index)
    assert len(unpacked) == len(members)


def test_codes_of_operations_stand_in_the_header_in_their_order() -> None:
    found = re.findall(r"^constexpr int OPERATION_(\w+) = (\d+);", header(), re.MULTILINE)
    assert found == [(operation.name, str(code)) for code, operation in enumerate(map(Operation.of_code, range(5)))]


def test_sizes_are_whole_words_of_every_port() -> None:
    for axi_bytes in (4, 8, 16):
        assert isa.DESCRIPTOR.itemsize % axi_bytes == 0
        assert isa.COUNTERS.itemsize % axi_bytes == 0
        assert isa.TABLE_BYTES % axi_bytes == 0
        assert isa.MAX_CHANNELS % axi_bytes == 0
    assert isa.DESCRIPTOR.itemsize == 4 * isa.DESCRIPTOR_FIELDS
    assert isa.CHANNEL_PARAMETERS.itemsize == 8
