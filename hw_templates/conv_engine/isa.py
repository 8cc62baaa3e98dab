"""The program format: values that the C++ header is filled with, and the records that numpy writes and reads.

A program is an array of layer descriptors in memory. Each is :data:`DESCRIPTOR_FIELDS` little-endian int32 values, the
members of ``Descriptor`` in ``include/isa.h.in`` and reserved ones, which are zero; new fields take the place of these,
so that programs written before keep their meaning.
"""

from enum import IntEnum

import numpy as np

from hw_templates.conv_engine.isa5 import (
    COUNTERS as COUNTERS,
)
from hw_templates.conv_engine.isa5 import (
    CYCLES as CYCLES,
)
from hw_templates.conv_engine.isa5 import (
    MAX_CHANNELS as MAX_CHANNELS,
)
from hw_templates.conv_engine.isa5 import (
    TABLE_BYTES as TABLE_BYTES,
)
from hw_templates.conv_engine.isa5 import (
    TRIPS as TRIPS,
)
from hw_templates.conv_engine.isa5 import (
    LayerTrips as LayerTrips,
)
from hw_templates.conv_engine.isa5 import (
    LoopOrderCode as LoopOrderCode,
)

VERSION = 4
"""Of the newest fields and values: an engine runs programs of its own version and of those from ``OLDEST`` on."""

OLDEST = 4
"""First version with the counters of today, which take more memory than those before."""


class ResidualCode(IntEnum):
    """Value of a descriptor's ``residual``: whether a map is added, and where."""

    NONE = 0
    BEFORE_ACTIVATION = 1
    AFTER_ACTIVATION = 2


FIELDS: tuple[str, ...] = tuple(
    [
        "operation",
        "loop_order",
        "in_height",
        "in_width",
        "in_channels",
        "out_height",
        "out_width",
        "out_channels",
        "kernel_height",
        "kernel_width",
        "stride",
        "padding",
        "tile_out_channels",
        "tile_in_channels",
        "tile_height",
        "tile_width",
        "ifmap_word",
        "weight_word",
        "ofmap_word",
        "residual_word",
        "parameter_word",
        "table_word",
        "counter_word",
        "residual",
        "residual_multiplier",
        "residual_shift",
        "four_bit_weights",
        "group_layers",
        "band_height",
        "ifmap_ring",
        "ofmap_ring",
        "map_half",
    ]
)
"""Names of a descriptor's fields, in order."""

PLACES = tuple(name for name in FIELDS if name.endswith("_word"))
"""Fields that say where something lies in memory."""

DESCRIPTOR_FIELDS = 32

DESCRIPTOR = np.dtype({"names": FIELDS, "formats": ["<i4"] * len(FIELDS), "itemsize": 4 * DESCRIPTOR_FIELDS})
"""One descriptor as a numpy record."""

CHANNEL_PARAMETERS = np.dtype([("bias", "<i4"), ("multiplier", "<u2"), ("shift", "u1"), ("reserved", "u1")])
"""Post-processing of one output channel as it lies in memory."""

MAX_GROUP_LAYERS = 4
