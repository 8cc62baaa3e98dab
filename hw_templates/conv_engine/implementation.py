"""The two implementations of the engine."""

from enum import StrEnum


class Implementation(StrEnum):
    """Implementation of the engine: HLS C++, or Verilog; both run the same programs."""

    HLS = "hls"
    RTL = "rtl"
