"""Every register that a driver reads or writes, and where it lies: one table for C++, Verilog, Tcl and Python.

Both implementations of the engine have the registers of an HLS kernel behind ``s_axilite`` (AMD UG1399, "S_AXILITE
Control Register Map"). Their offsets stand as literals in the pragmas of ``hls/conv_engine.cpp``, where HLS takes no
names, and a test keeps them equal. The Verilog has more. The identity is a read-only block of its own beside the
engine, because registers that HLS makes hold nothing before the first run, and a driver must know the bitstream before
it starts anything.
"""

import re
from dataclasses import dataclass

from hw_templates.conv_engine import isa
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.foundation.errors import InvalidValueError

MAGIC = 0x43445347
"""ASCII "CDSG"; what the identity's ``magic`` reads."""

START, DONE, IDLE, READY = 1, 2, 4, 8
"""Bits of the engine's ``control``; ``DONE`` is cleared by reading it."""


@dataclass(frozen=True)
class Register:
    """A value of ``bits`` bits at byte ``offset`` of its block; wider than 32 bits, it lies in words, lowest first."""

    offset: int
    bits: int = 32


ENGINE = {
    "control": Register(0x00),  # start, done, idle, ready
    "global_interrupt": Register(0x04),  # bit 0: the interrupt may rise
    "interrupt_enable": Register(0x08),  # bit 0: by done
    "interrupt_status": Register(0x0C),  # bit 0: it rose; cleared by writing 1
    "ifmap_port": Register(0x10, 64),  # physical address of the arena, as the port that loads feature maps sees it
    "weight_port": Register(0x1C, 64),  # the same for weights, parameters and the program
    "residual_port": Register(0x28, 64),  # the same for maps that are added
    "ofmap_port": Register(0x34, 64),  # the same for results and counters
    "program_word": Register(0x40),  # where the program starts, in memory words from the arena's start
    "layer_count": Register(0x48),  # descriptors to run
    "arena_words": Register(0x50),  # memory words of the arena, beyond which no request reaches
    "protected_words": Register(0x58),  # words from the arena's start that the engine does not write
    "status": Register(0x60),  # error code and layer of the last run; in the Verilog also running, undrained
    "cycles": Register(0x68, 64),  # of the last run
    "cycle_limit": Register(0x78),  # cycles that end a run, less than 2^31; 0: none
}
"""Registers of both implementations."""

RTL_ENGINE = ENGINE | {
    "watchdog": Register(0x70),  # cycles without progress that end a run; 0: none
    "abort": Register(0x74),  # bit 0 ends a run
    "cycle_limit": Register(0x78, 64),  # cycles that end a run; 0: none
}
"""Registers of the engine in Verilog."""

HLS_ARGUMENTS = {
    **{name: (name,) for name in ENGINE if name.endswith("_port")},
    "registers": ("program_word", "layer_count", "arena_words", "protected_words"),
    "outcome": ("status", "cycles"),
    "cycle_limit": ("cycle_limit",),
}
"""Arguments of the engine's C++ behind ``s_axilite``, and the registers that each holds, in order."""

ENGINE_ERRORS = {
    0: "none",
    1: "a read outside the arena",
    2: "a write outside the arena, or to protected words",
    3: "an error response to a read",
    4: "an error response to a write",
    5: "registers or a descriptor that it cannot run",
    6: "the watchdog: nothing moved at any port",
    7: "the limit of cycles",
    8: "an abort",
}
"""What the error codes in the engine's status say; the C++ sees none of 3, 4, 6 and 8."""

STATUS_CODE, STATUS_UNDRAINED, STATUS_LAYER_SHIFT = 15, 1 << 9, 16
"""Its ``status``: bits of the error code, the bit that says that the memory owes answers, the layer's lowest bit."""


@dataclass(frozen=True)
class RegisterMap:
    """Registers of one implementation of the engine.

    Attributes:
        version: what the identity's ``register_map`` reads; 1 is that of engines of an older program format.
        engine: its registers.
        most_cycles: greatest ``cycle_limit``.
    """

    version: int
    engine: dict[str, Register]
    most_cycles: int


REGISTER_MAPS = {
    Implementation.HLS: RegisterMap(3, ENGINE, 2**31 - 1),
    Implementation.RTL: RegisterMap(2, RTL_ENGINE, 2**64 - 1),
}

PORTS = tuple(name for name in ENGINE if name.endswith("_port"))
"""Registers that hold the arena's address for each memory port of the engine."""

IDENTITY = {
    "magic": Register(0x00),  # MAGIC in every bitstream of this project
    "register_map": Register(0x04),  # version of the engine's register map
    "isa_version": Register(0x08),  # version of the program format that the engine runs
    "clock_mhz": Register(0x0C),  # clock that it was built for
    "digest": Register(0x20, 256),  # SHA-256 of everything that determines the hardware, its first four bytes lowest
}

TWIN_MAGIC = 0x5457494E
"""ASCII "TWIN"; what ``twin_magic`` reads where the fabric is a simulation."""

TWIN = {
    "twin_magic": Register(0x80),  # TWIN_MAGIC
    "timing": Register(0x84),  # what its cycles come from, a code of bitstreams.board.timing.Timing
}
"""Behind the identity in a board twin, and in no bitstream: there they read 0."""


@dataclass(frozen=True)
class AddressMap:
    """Places of the two blocks in the processor's address space; each has a window of :data:`WINDOW_BYTES`."""

    engine: int
    identity: int


WINDOW_BYTES = 0x10000

ADDRESS_MAPS = {
    "zynq-7000": AddressMap(engine=0x43C00000, identity=0x43C10000),
    "zynq-ultrascale+": AddressMap(engine=0xA0000000, identity=0xA0010000),
}
"""Board family to addresses: inside M_AXI_GP0 (AMD UG585, table 4-1) and M_AXI_HPM0_FPD (AMD UG1085, table 10-1)."""


def offset_of(name: str) -> int:
    """Byte offset of a register of the identity, or of what lies behind it in a twin; every name is used once."""
    return (IDENTITY | TWIN)[name].offset


DIGEST_OFFSET = offset_of("digest")


def identity_constants(implementation: Implementation, clock_mhz: int) -> dict[int, int]:
    """{byte offset: 32-bit word} of what the identity answers, but for the digest; everywhere else it answers 0."""
    values = {
        "magic": MAGIC,
        "register_map": REGISTER_MAPS[implementation].version,
        "isa_version": isa.VERSION,
        "clock_mhz": clock_mhz,
    }
    return {IDENTITY[name].offset: value for name, value in values.items()}


def digest_words(digest: str) -> dict[int, int]:
    """{byte offset: 32-bit word} of a digest of 64 hexadecimal digits, as the identity answers it.

    Raises:
        InvalidValueError: it is none.

    >>> words = digest_words("0badcafe" + 56 * "0")
    >>> hex(words[DIGEST_OFFSET]), words[DIGEST_OFFSET + 4]
    ('0xbadcafe', 0)
    """
    if not re.fullmatch("[0-9a-f]{64}", digest):
        raise InvalidValueError("digest", digest, "64 hexadecimal digits")
    return {DIGEST_OFFSET + 4 * index: int(digest[8 * index : 8 * index + 8], 16) for index in range(8)}
