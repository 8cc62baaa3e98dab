"""How long the stages of a slot last that share nothing, each by itself; a stage of nothing lasts 0 cycles.

Constants are read from the Verilog that is named beside them.
"""

import math
from dataclasses import dataclass

import numpy as np

from hw_templates.conv_engine.engine_shape import EngineShape
from hw_templates.foundation.arrays import FloatArray, IntArray

MAP_LOAD_CYCLES, MAP_STORE_CYCLES = 10, 20
"""A load from the map memory, and a store to it, besides its lines."""
COMPUTE_CYCLES = 12
"""Of a tile besides its iterations and the latency of the PE array (``compute.v``)."""


@dataclass(frozen=True, kw_only=True)
class MemoryTiming:
    """The memory behind the ports.

    Attributes:
        latency_cycles: from an address to its first word, and from a burst's last word to the response.
        bytes_a_cycle: what all ports share; 0: no limit.
    """

    latency_cycles: int
    bytes_a_cycle: float = 0


def map_load_cycles(lines: IntArray) -> FloatArray:
    """Return the cycles of a load of ``lines`` [slots] lines from the map memory, [slots]; 0 for none."""
    cycles: FloatArray = np.where(lines > 0, lines + float(MAP_LOAD_CYCLES), 0.0)
    return cycles


def map_store_cycles(lines: IntArray) -> FloatArray:
    """Return the cycles of a store of ``lines`` [slots] lines to the map memory, [slots]; 0 for none."""
    cycles: FloatArray = np.where(lines > 0, lines + float(MAP_STORE_CYCLES), 0.0)
    return cycles


def array_latency(shape: EngineShape) -> int:
    """Return the latency of the PE array, as in ``pe_array.v``."""
    return 4 + shape.chain + math.ceil(math.log2(shape.accelerator.pe_cols // shape.chain))


def compute_cycles(shape: EngineShape, iterations: IntArray) -> IntArray:
    """Return the cycles that tiles of ``iterations`` [tiles] take to compute, [tiles]."""
    return iterations + COMPUTE_CYCLES + array_latency(shape)
