"""What the processor of a board says of itself, and the clock that it gives the programmable logic.

The clock is read and set through registers. Zynq-7000: SLCR (AMD UG585, appendix B.28); Zynq UltraScale+: CRL_APB and
CRF_APB (AMD UG1087). Linux has unlocked these registers. The PLLs, which other devices share, stay as they are.
"""

import re
from dataclasses import dataclass
from typing import Protocol

from hw_templates.board import DIVIDERS, Board, board_names, load_board
from hw_templates.foundation.errors import BoardError

UNKNOWN = "unknown"
"""What PYNQ calls a board of which it knows no name."""

NAME_FILE = "/proc/device-tree/chosen/pynq_board"
"""File with PYNQ's name of the board, which images write from the name of the board's folder.

Sources: Xilinx/PYNQ, sdbuild/Makefile and device-tree.bbappend. Pynq-Z2 and ZCU104 are folders there;
Avnet/Ultra96-PYNQ has one folder, Ultra96, for both versions of that board. Xilinx/Kria-PYNQ, which runs on Ubuntu,
leaves the device tree alone and exports ``BOARD=KV260`` in /etc/profile.d/pynq_venv.sh.
"""

KERNEL_FILE = "/proc/version"
ARCHITECTURES = {"zynq-7000": "armv7l", "zynq-ultrascale+": "aarch64"}
"""Board family to what its kernel calls the processor."""


def check_own_name(board: Board, name: str, where: str) -> None:
    """Make sure that a board is the one that it is taken for; one that does not say its name passes.

    Args:
        board: what it is taken for.
        name: what it calls itself; may be empty.
        where: how it was reached, for the message.

    Raises:
        BoardError: it calls itself otherwise.
    """
    if _plain(name) not in ("", UNKNOWN, _plain(own_name(board))):
        known = next((other for other in board_names() if _plain(own_name(load_board(other))) == _plain(name)), name)
        raise BoardError(f"board: {where} is {known}, not {board.name}; name the board that is there")


def own_name(board: Board) -> str:
    """Return what a board calls itself."""
    return board.pynq_name or board.name


def _plain(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())


class Registers(Protocol):
    """Registers of 32 bits by physical address."""

    def read(self, address: int) -> int:
        """Return the value of a register."""

    def write(self, address: int, value: int) -> None:
        """Set a register."""


@dataclass(frozen=True, kw_only=True)
class ClockTree:
    """Registers of a family's first clock to the logic.

    Attributes:
        control: address of its divider register.
        divider_shifts: lowest bits of its two dividers, six bits each.
        source_shift, source_mask: lowest bit of its source's number, and the greatest number.
        sources: number of a source to the address of that PLL's register.
        choices: sources that stay as they are whatever the processor's own clock does.
        feedback_shift: lowest bit of a PLL's multiplier, seven bits.
        halved_bit: bit of a PLL's register that halves it; None where there is none.
        reference_mhz: crystal of the PLLs.
        enable: bits that must be set for the clock to run.
    """

    control: int
    divider_shifts: tuple[int, int]
    source_shift: int
    source_mask: int
    sources: dict[int, int]
    choices: tuple[int, ...]
    feedback_shift: int
    halved_bit: int | None
    reference_mhz: float
    enable: int


CLOCK_TREES = {
    "zynq-7000": ClockTree(
        control=0xF8000170,
        divider_shifts=(8, 20),
        source_shift=4,
        source_mask=3,
        sources={0: 0xF8000108, 1: 0xF8000108, 2: 0xF8000100, 3: 0xF8000104},
        choices=(0, 3),
        feedback_shift=12,
        halved_bit=None,
        reference_mhz=50.0,
        enable=0,
    ),
    "zynq-ultrascale+": ClockTree(
        control=0xFF5E00C0,
        divider_shifts=(8, 16),
        source_shift=0,
        source_mask=7,
        sources={0: 0xFF5E0020, 2: 0xFF5E0030, 3: 0xFD1A002C},
        choices=(0, 2),
        feedback_shift=8,
        halved_bit=16,
        reference_mhz=100 / 3,
        enable=1 << 24,
    ),
}


def read_clock_mhz(registers: Registers, family: str) -> float:
    """Return the clock of the logic in MHz.

    Raises:
        BoardError: the registers hold no clock.
    """
    tree = CLOCK_TREES[family]
    control = registers.read(tree.control)
    first, second = (control >> shift & 63 for shift in tree.divider_shifts)
    if not first or not second:
        raise BoardError(f"clock: its register reads 0x{control:08X}, which divides by zero; restart the board")
    number = control >> tree.source_shift & tree.source_mask
    if number not in tree.sources:
        raise BoardError(f"clock: its register reads 0x{control:08X}, an unknown source; restart the board")
    return _pll_mhz(registers, tree, number) / (first * second)


def set_clock_mhz(registers: Registers, family: str, clock_mhz: float) -> float:
    """Set the logic's clock to the nearest that is not above ``clock_mhz``; returns what is then read back.

    Raises:
        BoardError: the clock that is read back is too high, or the registers hold no clock.
    """
    tree = CLOCK_TREES[family]
    # Crystals of 33.333 MHz in tables are 33 1/3: what is a hair above is what was asked for.
    most = clock_mhz * (1 + 1e-4)
    frequencies = {number: _pll_mhz(registers, tree, number) for number in tree.choices}
    reachable = [
        (pll / product, -number, dividers)
        for number, pll in frequencies.items()
        for product, dividers in DIVIDERS.items()
        if pll / product <= most
    ]
    if not reachable:
        raise BoardError(f"clock: no PLL of the board can be divided down to {clock_mhz:g} MHz; restart the board")
    _, negative, dividers = max(reachable)
    control = registers.read(tree.control)
    control = control & ~(tree.source_mask << tree.source_shift) | -negative << tree.source_shift
    for shift, divider in zip(tree.divider_shifts, dividers, strict=True):
        control = control & ~(63 << shift) | divider << shift
    registers.write(tree.control, control | tree.enable)
    reached = read_clock_mhz(registers, family)
    if reached > most:
        raise BoardError(f"clock: asked for {clock_mhz:g} MHz, the board reads back {reached:g}; restart the board")
    return reached


def _pll_mhz(registers: Registers, tree: ClockTree, number: int) -> float:
    pll = registers.read(tree.sources[number])
    halved = tree.halved_bit is not None and pll >> tree.halved_bit & 1
    return tree.reference_mhz * (pll >> tree.feedback_shift & 127) / (2 if halved else 1)
