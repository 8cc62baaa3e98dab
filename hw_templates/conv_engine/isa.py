"""The program format: one table from which the C++ header and the numpy record are both made.

A program is an array of layer descriptors in memory. Each is :data:`DESCRIPTOR_FIELDS` little-endian int32 values;
new fields take the place of reserved ones, which are zero, so that programs written before keep their meaning.
"""

from enum import IntEnum

import numpy as np

from hw_templates.operations import Operation

VERSION = 4
"""Of the newest fields and values: an engine runs programs of its own version and of those from ``OLDEST`` on."""

OLDEST = 4
"""First version with the counters of today, which take more memory than those before."""


class ResidualCode(IntEnum):
    """Value of a descriptor's ``residual``: whether a map is added, and where."""

    NONE = 0
    BEFORE_ACTIVATION = 1
    AFTER_ACTIVATION = 2


class LoopOrderCode(IntEnum):
    """Value of a descriptor's ``loop_order``; see :class:`cost_models.mapping.mapping.LoopOrder`."""

    PIXELS_OUTER = 0
    CHANNELS_OUTER = 1
    INPUTS_OUTER = 2


FIELDS: tuple[tuple[str, str], ...] = (
    ("operation", "what the layer computes"),
    ("loop_order", "how the loops over tiles are nested"),
    ("in_height", "rows of the input map"),
    ("in_width", "columns of the input map"),
    ("in_channels", "channels of the input map"),
    ("out_height", "rows of the output map"),
    ("out_width", "columns of the output map"),
    ("out_channels", "channels of the output map"),
    ("kernel_height", "rows of the kernel"),
    ("kernel_width", "columns of the kernel"),
    ("stride", "1 or 2"),
    ("padding", "on all four sides"),
    ("tile_out_channels", "output channels of a full tile, a multiple of PE_ROWS"),
    ("tile_in_channels", "input channels of a full tile, a multiple of PE_COLS"),
    ("tile_height", "output rows of a full tile"),
    ("tile_width", "output columns of a full tile"),
    ("ifmap_word", "where the input map starts; all places count memory words from the arena's start"),
    ("weight_word", "where the weights start; for a scale, the gate's map"),
    ("ofmap_word", "where the output map starts"),
    ("residual_word", "where the map that is added starts"),
    ("parameter_word", "where the channel parameters start"),
    ("table_word", "where the activation table starts"),
    ("counter_word", "where the counters are written"),
    ("residual", "whether a map is added, before or after the activation table"),
    ("residual_multiplier", "scaling of the added map"),
    ("residual_shift", "and its rounding shift"),
    ("four_bit_weights", "1 where weights have 4 bits and lie two to a byte"),
    ("group_layers", "layers from this one on that run together, band by band; 0 where it runs alone"),
    ("band_height", "rows of a band of the group's result; 0 where it runs alone"),
    ("ifmap_ring", "rows of the input map that the map memory holds; 0 where the map lies in memory"),
    ("ofmap_ring", "rows of the output map that the map memory holds; 0 where the map goes to memory"),
    ("map_half", "half of the map memory that is read; what stays on chip goes to the other"),
)

PLACES = tuple(name for name, _ in FIELDS if name.endswith("_word"))
"""Fields that say where something lies in memory."""

DESCRIPTOR_FIELDS = 32

DESCRIPTOR = np.dtype([(name, "<i4") for name, _ in FIELDS] + [("reserved", "<i4", (DESCRIPTOR_FIELDS - len(FIELDS),))])
"""One descriptor as a numpy record."""

CHANNEL_PARAMETERS = np.dtype([("bias", "<i4"), ("multiplier", "<u2"), ("shift", "u1"), ("reserved", "u1")])
"""Post-processing of one output channel as it lies in memory."""

TRIPS = np.dtype([(name, "<u4") for name in ("compute_trips", "ifmap_words", "weight_words", "ofmap_words")])
"""What a program makes the engine count of each layer, however long that takes."""

CYCLES = np.dtype(
    [(name, "<u4") for name in ("total_cycles", "compute_cycles", "load_wait_cycles", "store_wait_cycles")]
)
"""How long it takes: the whole layer with its setup, the computation, and by how much slots last longer than that
because of what is loaded, and because of what is stored. 0 where nothing counts cycles, as in csim."""

COUNTERS = np.dtype([*TRIPS.descr, *CYCLES.descr])
"""What the engine writes back after each layer: both."""

TABLE_BYTES = 256
MAX_GROUP_LAYERS = 4
"""Layers that the engine can run together."""
MAX_CHANNELS = 2048


def c_header() -> str:
    """The C++ header ``isa.h`` of this format."""
    width = max(len(name) for name, _ in FIELDS) + 1
    codes = {operation.properties.code: operation for operation in Operation}
    lines = [
        "// The program format. Generated from hw_templates/conv_engine/isa.py, as is the record that writes programs.",
        "#pragma once",
        "",
        "#include <cstdint>",
        "",
        f"constexpr int ISA_VERSION = {VERSION};",
        f"constexpr int DESCRIPTOR_FIELDS = {DESCRIPTOR_FIELDS};  // int32 values, some of them reserved",
        f"constexpr int MAX_GROUP_LAYERS = {MAX_GROUP_LAYERS};",
        *(f"constexpr int OPERATION_{operation.name} = {code};" for code, operation in sorted(codes.items())),
        *(f"constexpr int LOOP_ORDER_{code.name} = {code.value};" for code in LoopOrderCode),
        *(f"constexpr int RESIDUAL_{code.name} = {code.value};" for code in ResidualCode),
        "",
        "struct Descriptor {",
        *(f"    int32_t {name + ';':<{width}}  // {meaning}" for name, meaning in FIELDS),
        "};",
        "",
        "inline Descriptor unpack_descriptor(const int32_t (&fields)[DESCRIPTOR_FIELDS]) {",
        "    Descriptor d;",
        *(f"    d.{name} = fields[{index}];" for index, (name, _) in enumerate(FIELDS)),
        "    return d;",
        "}",
        "",
    ]
    return "\n".join(lines)
