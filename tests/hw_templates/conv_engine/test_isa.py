import re

from hw_templates.conv_engine import isa


def test_record_and_header_have_the_same_fields_in_the_same_order() -> None:
    members = re.findall(r"^    int32_t (\w+);", isa.c_header(), re.MULTILINE)
    assert members == [name for name, _ in isa.FIELDS]
    unpacked = re.findall(r"d\.(\w+) = fields\[(\d+)\];", isa.c_header())
    for name, index in unpacked:
        assert isa.DESCRIPTOR.fields is not None
        assert isa.DESCRIPTOR.fields[name][1] == 4 * int(index)
    assert len(unpacked) == len(members)


def test_sizes_are_whole_words_of_every_port() -> None:
    for axi_bytes in (4, 8, 16):
        assert isa.DESCRIPTOR.itemsize % axi_bytes == 0
        assert isa.COUNTERS.itemsize % axi_bytes == 0
        assert isa.TABLE_BYTES % axi_bytes == 0
        assert isa.MAX_CHANNELS % axi_bytes == 0
    assert isa.DESCRIPTOR.itemsize == 4 * isa.DESCRIPTOR_FIELDS
    assert isa.CHANNEL_PARAMETERS.itemsize == 8
