"""DSP slices and block memories of the engine's Verilog, from the size of each of its memories."""

from collections.abc import Iterator
from dataclasses import dataclass

from hw_templates.conv_engine.engine_shape import READ_FIFO, EngineShape

_PARAMETER_BITS = 56
_SUM_BITS = 32


@dataclass(frozen=True)
class Memory:
    """Equal memories of one write and one read port, made of block memories.

    Attributes:
        name: what they hold.
        banks: how many there are.
        depth: words of each.
        width: bits of a word.
    """

    name: str
    banks: int
    depth: int
    width: int


@dataclass(frozen=True)
class Blocks:
    """DSP slices, and block memories of 18 and of 36 Kib."""

    dsp: int
    ramb18: int
    ramb36: int


def array_slices(shape: EngineShape) -> int:
    """Return the DSP slices of the PE array, each of which yields ``pack`` products a cycle."""
    a = shape.accelerator
    return a.pe_rows // a.pack * a.pe_cols * a.pe_pixels


def block_memories(shape: EngineShape) -> tuple[Memory, ...]:
    """Return the memories of an engine that are made of block memories; halves of a double buffer are one memory."""
    a = shape.accelerator
    port_bytes = a.weight_port_bytes

    def of_engine() -> Iterator[Memory]:
        ifmap_banks = a.pe_pixels * a.pe_cols // a.axi_bytes
        yield Memory("ifmap", ifmap_banks, a.ifmap_depth * a.ifmap_buffers, a.axi_bits)
        weight_banks = a.pe_rows * a.pe_cols // port_bytes
        yield Memory("weights", weight_banks, a.weight_depth * a.weight_buffers, 8 * port_bytes)
        if shape.constants()["SUM_STYLE"] == '"block"':
            yield Memory("sums", a.pe_rows * a.pe_pixels, a.ofmap_depth * a.ofmap_buffers, _SUM_BITS)
        yield Memory("residual", 1, shape.residual_depth * a.ofmap_buffers, a.axi_bits)
        yield Memory("parameters", a.post_lanes, 2 * shape.parameter_depth, _PARAMETER_BITS)
        if a.map_kib:
            yield Memory("maps", a.map_banks, 2 * a.map_depth, a.axi_bits)
        # A word of a queue has one bit more, its last mark; ifmap and residual port are alike.
        yield Memory("queues of narrow ports", 2, READ_FIFO, a.axi_bits + 1)
        yield Memory("queue of the weight port", 1, READ_FIFO, 8 * port_bytes + 1)

    return tuple(of_engine())


def blocks_of(depth: int, width: int) -> tuple[int, int]:
    """Return (RAMB18, RAMB36) of a memory of ``depth`` words of ``width`` bits.

    The cheapest way to lay it out in blocks of one shape: what ``memory_libmap`` of yosys 0.23 minimises
    (``passes/memory/memory_libmap.cc``) with the costs of ``techlibs/xilinx/brams_xc4v.txt``. A block of 36 Kib costs
    a little less than two of 18 Kib; parts that lie at different addresses cost a multiplexer of half a unit a bit.
    Words are padded to bytes of 9 bits, and parts of words share a block where that saves one.
    """
    best: tuple[float, int, int] | None = None
    for cost, capacity, widths in (
        (129, 1 << 14, (1, 2, 4, 9, 18, 36)),
        (257, 1 << 15, (1, 2, 4, 9, 18, 36, 72)),
    ):
        for exponent, block_width in enumerate(widths):
            parts = -(-depth // (capacity >> exponent))
            byte = min(9, block_width)
            count = -(-parts * (-(-width // byte) * byte) // block_width)
            multiplexer = (parts - 1) * width + parts if parts > 1 else 0
            candidate = (count * cost + multiplexer / 2, count if cost == 129 else 0, count if cost == 257 else 0)
            if best is None or candidate[0] < best[0]:
                best = candidate
    assert best is not None
    return best[1:]


def engine_blocks(shape: EngineShape) -> Blocks:
    """Return the DSP slices and block memories of an engine, as yosys infers them for a 7-series device.

    UltraRAM is not counted: every bank is a block memory. The product of a slice of an UltraScale+ engine is counted
    once, as its 27-bit pre-adder takes it; on a 7-series device it would take two slices.
    """
    ramb18 = ramb36 = 0
    for memory in block_memories(shape):
        halves, wholes = blocks_of(memory.depth, memory.width)
        ramb18 += memory.banks * halves
        ramb36 += memory.banks * wholes
    # Each lane of post-processing has a product that requantises. A residual comes by memory words: lanes of the same
    # byte share the product that scales it.
    lane_slices = shape.accelerator.post_lanes + shape.accelerator.axi_bytes
    return Blocks(array_slices(shape) + lane_slices, ramb18, ramb36)
