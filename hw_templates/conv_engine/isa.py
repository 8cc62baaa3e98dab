"""Version 4 of the program format: values that the C++ header is filled with, and records that numpy writes.

A program is an array of layer descriptors in memory. Each is :data:`DESCRIPTOR_FIELDS` little-endian int32 values, the
members of ``Descriptor`` in ``include/isa.h.in`` and reserved ones, which are zero; new fields take the place of these,
so that programs written before keep their meaning.
"""

import re
from enum import IntEnum
from pathlib import Path

import numpy as np

from hw_templates.conv_engine.isa5 import (
    COUNTERS,
    CYCLES,
    MAX_CHANNELS,
    TABLE_BYTES,
    TRIPS,
    LayerTrips,
    LoopOrderCode,
)

__all__ = [
    "CHANNEL_PARAMETERS",
    "COUNTERS",
    "CYCLES",
    "DESCRIPTOR",
    "DESCRIPTOR_FIELDS",
    "FIELDS",
    "MAX_CHANNELS",
    "MAX_GROUP_LAYERS",
    "TABLE_BYTES",
    "TRIPS",
    "VERSION",
    "LayerTrips",
    "LoopOrderCode",
    "ResidualCode",
]

VERSION = 4


class ResidualCode(IntEnum):
    """Value of a descriptor's ``residual``: whether a map is added, and where."""

    NONE = 0
    BEFORE_ACTIVATION = 1
    AFTER_ACTIVATION = 2


FIELDS: tuple[str, ...] = tuple(
    re.findall(r"^    int32_t (\w+);", (Path(__file__).parent / "include/isa.h.in").read_text(), re.MULTILINE)
)
"""Names of a descriptor's fields, in order: the members of ``Descriptor`` in the header, which says what each means."""

DESCRIPTOR_FIELDS = 32

DESCRIPTOR = np.dtype({"names": FIELDS, "formats": ["<i4"] * len(FIELDS), "itemsize": 4 * DESCRIPTOR_FIELDS})
"""One descriptor as a numpy record."""

CHANNEL_PARAMETERS = np.dtype([("bias", "<i4"), ("multiplier", "<u2"), ("shift", "u1"), ("reserved", "u1")])
"""Post-processing of one output channel as it lies in memory."""

MAX_GROUP_LAYERS = 4
