"""Version 4 of the program format: values that the C++ header is filled with, and the records that numpy writes and reads.

A program is an array of layer descriptors in memory. Each is :data:`DESCRIPTOR_FIELDS` little-endian int32 values, the
members of ``Descriptor`` in ``include/isa.h.in`` and reserved ones, which are zero; new fields take the place of these,
so that programs written before keep their meaning.
"""

import re
from enum import IntEnum
from pathlib import Path

import numpy as np

from hw_templates.conv_engine.isa5 import (
    COUNTERS as COUNTERS,
    CYCLES as CYCLES,
    MAX_CHANNELS as MAX_CHANNELS,
    TABLE_BYTES as TABLE_BYTES,
    TRIPS as TRIPS,
    LayerTrips as LayerTrips,
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
    re.findall(r"^    int32_t (\w+);", (Path(__file__).parent / "include/isa.h.in").read_text(), re.MULTILINE)
)
"""Names of a descriptor's fields, in order: the members of ``Descriptor`` in the header, which says what each means."""

PLACES = tuple(name for name in FIELDS if name.endswith("_word"))
"""Fields that say where something lies in memory."""

DESCRIPTOR_FIELDS = 32

DESCRIPTOR = np.dtype({"names": FIELDS, "formats": ["<i4"] * len(FIELDS), "itemsize": 4 * DESCRIPTOR_FIELDS})
"""One descriptor as a numpy record."""

CHANNEL_PARAMETERS = np.dtype([("bias", "<i4"), ("multiplier", "<u2"), ("shift", "u1"), ("reserved", "u1")])
"""Post-processing of one output channel as it lies in memory."""

MAX_GROUP_LAYERS = 4
