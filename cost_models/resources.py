"""Resources of a device that accelerators need, in closed form, for one accelerator or columns of many.

Products, and the number, depth and width of memories, are those of the engine's C++: tests compare them with what
compilers make of it. How many block RAMs a memory takes is a rule; that a product takes one DSP slice, no vendor's tool
has confirmed. Those of the Verilog are in :mod:`cost_models.engine.blocks`. LUT and FF are an estimate from the
structure of the engine (adder trees, accumulators, crossbars, requantisers) with a base and a factor fitted on another
engine's sizes; for the Verilog it is about twice what yosys counts (``docs/resources.md``).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from cost_models.coefficients import LogicCoefficients, load_coefficients
from cost_models.engine.blocks import engine_blocks
from hw_templates.board import Board
from hw_templates.conv_engine import isa
from hw_templates.conv_engine.accelerator import (
    ACCUMULATOR_BYTES,
    Accelerator,
    AcceleratorColumns,
    AnyAccelerator,
)
from hw_templates.conv_engine.engine_shape import EngineShape
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.foundation.arrays import IntArray
from hw_templates.foundation.errors import InvalidValueError, ResourceError

RESOURCES = ("dsp", "bram_18k", "uram", "lut", "ff")

MEMORY_PORTS = 4
PORT_QUEUE_WORDS = 16 * 16
"""An adapter of a port holds 16 bursts of 16 words, as the pragmas of ``hls/conv_engine.cpp`` ask."""

# An int, or an integer array [A] for columns.
Count = Any


@dataclass(frozen=True, kw_only=True)
class Resources:
    """Resources that are needed: numbers for one accelerator, arrays [A] for columns."""

    dsp: Count
    bram_18k: Count
    uram: Count
    lut: Count
    ff: Count


@dataclass(frozen=True)
class PairEstimate:
    """Cost of a network and hardware that runs it.

    Attributes:
        latency_ms: of one inference.
        energy_mj: of one inference.
        resources: of the board that the hardware takes.
    """

    latency_ms: float
    energy_mj: float
    resources: Resources


def _ceil_div(a: Count, b: Count) -> Count:
    return -(-a // b)


def block_rams(depth: Count, width: Count) -> IntArray:
    """Return the 18 Kib block RAMs of a memory of ``depth`` words of ``width`` bits.

    The rule of FINN's ``bram_estimation`` (Blott et al., "FINN-R", TRETS 2018), elementwise.
    """
    depth, width = np.asarray(depth, dtype=np.int64), np.asarray(width, dtype=np.int64)
    return np.select(
        [width == 1, width == 2, width <= 4, width <= 9, (width <= 18) | (depth > 512)],
        [
            _ceil_div(depth, 16384),
            _ceil_div(depth, 8192),
            _ceil_div(depth, 4096) * _ceil_div(width, 4),
            _ceil_div(depth, 2048) * _ceil_div(width, 9),
            _ceil_div(depth, 1024) * _ceil_div(width, 18),
        ],
        _ceil_div(depth, 512) * _ceil_div(width, 36),
    )


@dataclass(frozen=True, kw_only=True)
class Banks:
    """Equal memories of one write and one read port of the engine in C++, numbers or arrays [A].

    Attributes:
        name: the variable that they are banks of.
        count: how many there are, of all halves; 0 where there are none.
        depth: words of each.
        width: bits of a word.
        is_block: whether they are block RAMs; else LUTs.
    """

    name: str
    count: Count
    depth: Count
    width: Count
    is_block: bool = True


def dsp_slices(a: AnyAccelerator) -> Count:
    """Return the DSP slices of the PE array and of post-processing in C++; nothing else multiplies by a variable.

    A slice of the array yields ``pack`` products that share an operand. A lane of post-processing multiplies a sum by
    its factor, and a value that is added by another.
    """
    return a.pe_rows * a.pe_cols * a.pe_pixels // a.pack + 2 * a.post_lanes


def banks_of(a: AnyAccelerator) -> Iterator[Banks]:
    """Yield the memories that ``hls/conv_engine.cpp`` declares, each half of a double buffer an array of its own."""
    lanes = a.post_lanes
    yield Banks(
        name="maps", count=np.where(np.asarray(a.map_kib) > 0, 2 * a.map_banks, 0), depth=a.map_depth, width=a.axi_bits
    )
    yield Banks(name="ifmap", count=a.ifmap_buffers * a.ifmap_banks, depth=a.ifmap_depth, width=a.axi_bits)
    yield Banks(name="weights", count=a.weight_buffers * a.weight_banks, depth=a.weight_depth, width=a.axi_bits)
    yield Banks(name="sums", count=a.ofmap_buffers * a.ofmap_banks, depth=a.ofmap_depth, width=8 * ACCUMULATOR_BYTES)
    yield Banks(
        name="residual", count=a.ofmap_buffers, depth=a.ofmap_banks * a.ofmap_depth // a.axi_bytes, width=a.axi_bits
    )
    lines = 2 ** np.ceil(np.log2(_ceil_div(isa.MAX_CHANNELS, lanes))).astype(np.int64)
    yield Banks(name="parameters", count=2 * lanes, depth=lines, width=8 * isa.PARAMETERS.itemsize)
    yield Banks(name="tables", count=2 * lanes, depth=isa.TABLE_BYTES, width=8, is_block=False)


def block_memories(a: AnyAccelerator) -> Count:
    """Return the 18 Kib block RAMs of the engine in C++: its memories, and the queues of its ports' adapters."""
    blocks: Count = sum(bank.count * block_rams(bank.depth, bank.width) for bank in banks_of(a) if bank.is_block)
    blocks = blocks + block_rams(PORT_QUEUE_WORDS, a.axi_bits * a.weight_port_words)
    return blocks + (MEMORY_PORTS - 1) * block_rams(PORT_QUEUE_WORDS, a.axi_bits)


def _multiplexer_luts(ways: Count, bits: Count) -> Count:
    """Return the LUTs that select one of ``ways`` words: a 6-input LUT selects one of four bits."""
    return np.ceil((ways - 1) / 3) * bits


def logic(a: AnyAccelerator, coefficients: LogicCoefficients) -> tuple[Count, Count]:
    """Return an estimate of (LUTs, FFs): coefficients times the counts of adders, multiplexers and registers."""
    rows, cols, pixels = a.pe_rows, a.pe_cols, a.pe_pixels
    products = rows * cols * pixels
    sums = rows * pixels
    lanes = a.post_lanes
    rotations = 2 * cols * _multiplexer_luts(pixels, 8) * pixels
    # On the diagonal of the array, a channel is one of its line's; a maximum takes its sum or the greater operand.
    lane_inputs = a.lanes * pixels * _multiplexer_luts(cols // a.lanes, 8)
    lane_results = a.lanes * pixels * _multiplexer_luts(2, 32)
    results = lanes * _multiplexer_luts(rows // lanes * pixels, 32)
    # Each weight is a byte of its line, or half a byte of the line's first or second half.
    unpacking = rows * cols * _multiplexer_luts(3, 8)
    per_product = np.where(np.asarray(a.pack) == 2, coefficients.lut_per_packed_product, coefficients.lut_per_product)
    banks = a.ifmap_banks + a.weight_banks + a.ofmap_banks + np.where(a.map_kib > 0, a.map_banks, 0)
    port_bits = (MEMORY_PORTS - 1 + a.weight_port_words) * a.axi_bits
    lut = (
        coefficients.lut_base
        + MEMORY_PORTS * coefficients.lut_per_port
        + port_bits * coefficients.lut_per_port_bit
        + products * per_product
        + sums * coefficients.lut_per_sum
        + rotations
        + lane_inputs
        + lane_results
        + results
        + unpacking
        + lanes * coefficients.lut_per_requantiser
        + banks * coefficients.lut_per_bank
    )
    ff = (
        coefficients.ff_base
        + MEMORY_PORTS * coefficients.ff_per_port
        + port_bits * coefficients.ff_per_port_bit
        + products * coefficients.ff_per_product
        + sums * coefficients.ff_per_sum
        + lanes * coefficients.ff_per_requantiser
        + banks * coefficients.ff_per_bank
    )
    return np.ceil(lut).astype(np.int64), np.ceil(ff).astype(np.int64)


def estimate_resources(
    accelerators: AnyAccelerator, board: Board, implementation: Implementation = Implementation.HLS
) -> Resources:
    """Return the resources that accelerators need on a board, with the prior coefficients for LUT and FF.

    Args:
        accelerators: one, or columns of many.
        board: where they are to be built.
        implementation: of the engine.

    >>> from hw_templates.board import load_board
    >>> accelerator = Accelerator(
    ...     pe_rows=8, pe_cols=8, pe_pixels=2, pack=2, ifmap_kib=8, weight_kib=8, ofmap_kib=8,
    ...     axi_bits=64, clock_mhz=100,
    ... )
    >>> estimate_resources(accelerator, load_board("pynq-z2")).dsp
    80
    """
    lut, ff = logic(accelerators, load_coefficients("prior", implementation).logic)
    if implementation == Implementation.RTL:
        dsp, bram = _verilog_blocks(accelerators, board.family)
    else:
        dsp, bram = dsp_slices(accelerators), block_memories(accelerators)
    # Every bank is block RAM in either; none is UltraRAM.
    values = dict(zip(RESOURCES, (dsp, bram, 0, lut, ff), strict=True))
    if isinstance(accelerators, Accelerator):
        return Resources(**{name: int(value) for name, value in values.items()})
    shape = accelerators.pe_rows.shape
    return Resources(**{name: np.broadcast_to(value, shape).astype(np.int64) for name, value in values.items()})


def _verilog_blocks(accelerators: AnyAccelerator, family: str) -> tuple[Count, Count]:
    """Return (DSP slices, 18 Kib block RAMs) of engines in Verilog."""
    if isinstance(accelerators, AcceleratorColumns):
        counted = [_blocks_of_one(each, family) for each in accelerators]
        dsp, bram = np.array(counted, dtype=np.int64).reshape(-1, 2).T
        return dsp, bram
    return _blocks_of_one(accelerators, family)


@cache
def _blocks_of_one(accelerator: Accelerator, family: str) -> tuple[int, int]:
    blocks = engine_blocks(EngineShape(accelerator=accelerator, family=family))
    return blocks.dsp, blocks.ramb18 + 2 * blocks.ramb36


def excess(resources: Resources, board: Board) -> dict[str, Count]:
    """Return the need of each resource beyond the board's; zero or less where it fits."""
    return {name: getattr(resources, name) - getattr(board, name) for name in RESOURCES}


def check_fits(accelerator: Accelerator, board: Board, implementation: Implementation = Implementation.HLS) -> None:
    """Check that an accelerator can be built for a board.

    Args:
        accelerator: its parameters.
        board: the board.
        implementation: of the engine.

    Raises:
        InvalidValueError: the board lacks the clock or the width of the ports.
        ResourceError: it needs more than there is; names every resource that is short, and by how much.
    """
    if accelerator.clock_mhz not in board.clocks_mhz:
        raise InvalidValueError("accelerator.clock_mhz", accelerator.clock_mhz, f"one of {board.clocks_mhz}")
    if accelerator.axi_bits > board.axi_bits_max:
        raise InvalidValueError("accelerator.axi_bits", accelerator.axi_bits, f"at most {board.axi_bits_max}")
    if accelerator.axi_bits * accelerator.weight_port_words > board.axi_bits_max:
        raise InvalidValueError(
            "accelerator.weight_port_words",
            accelerator.weight_port_words,
            f"1, as ports have at most {board.axi_bits_max} bits",
        )
    needed = estimate_resources(accelerator, board, implementation)
    short = [
        f"{name}: needs {getattr(needed, name)} of {getattr(board, name)} on {board.name}, {over} too many"
        for name, over in excess(needed, board).items()
        if over > 0
    ]
    if short:
        raise ResourceError("; ".join(short))
