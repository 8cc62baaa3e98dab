"""The two implementations of the engine."""

from enum import StrEnum


class Implementation(StrEnum):
    """Implementation of the engine: version 1 in HLS C++, or version 2 in Verilog."""

    HLS = "hls"
    RTL = "rtl"
