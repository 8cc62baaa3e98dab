"""The hardware hand-off (.hwh) that Vivado writes with a bitstream: its blocks, their addresses and the clock."""

import re
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element

from bitstreams.building.archive import MOST_BYTES
from bitstreams.building.bit_file import BitFile, check_board, read_bit_file, same_device
from bitstreams.building.xml_file import parse_xml
from hw_templates.board import Board
from hw_templates.conv_engine import registers
from hw_templates.foundation.errors import StorageError
from hw_templates.foundation.regular_file import read_regular

_PROCESSORS = {"processing_system7": "FCLK_CLK0", "zynq_ultra_ps_e": "pl_clk0"}


@dataclass(frozen=True)
class IpBlock:
    """One block of a design.

    Attributes:
        kind: name of its IP or module, such as conv_engine.
        addresses: (interface, first address) of its register windows as the processor sees them.
    """

    kind: str
    addresses: tuple[tuple[str, int], ...]


@dataclass(frozen=True, kw_only=True)
class Handoff:
    """Content of a hand-off.

    Attributes:
        design: name of the block design.
        part: device and package, such as 7z020clg400.
        clock_mhz: actual frequency of the processor's first clock to the logic, or None.
        blocks: blocks of the design, in the order of the file.
    """

    design: str
    part: str
    clock_mhz: float | None
    blocks: tuple[IpBlock, ...]

    def block(self, kind: str) -> IpBlock | None:
        """Return the first block of a kind, or None."""
        return next((block for block in self.blocks if block.kind == kind), None)


def read_handoff(path: Path) -> Handoff:
    """Read a .hwh file.

    Raises:
        StorageError: it cannot be read, is no XML, or no hand-off.
    """
    return parse_handoff(read_regular(path, MOST_BYTES["hwh"]), path)


def parse_handoff(content: bytes, path: Path) -> Handoff:
    """Read the content of the .hwh file of that path, which only names it in messages.

    Raises:
        StorageError: it is no XML, or no hand-off.
    """
    root = parse_xml(content, path, "take the .hwh that was written with the .bit")
    system = root.find("SYSTEMINFO")
    if system is None or not system.get("NAME"):
        raise StorageError(f"{path}: is no hardware hand-off (SYSTEMINFO is missing)")
    if not all(system.get(name, "").isprintable() for name in ("NAME", "DEVICE", "PACKAGE")):
        raise StorageError(f"{path}: is corrupt (SYSTEMINFO holds what is no text); copy it again")
    modules = root.findall("MODULES/MODULE")
    addresses = _addresses(path, modules)
    blocks = tuple(
        IpBlock(module.get("MODTYPE", ""), tuple(addresses.get(module.get("INSTANCE", ""), ()))) for module in modules
    )
    return Handoff(
        design=system.get("NAME", ""),
        part=system.get("DEVICE", "") + system.get("PACKAGE", ""),
        clock_mhz=_clock_mhz(modules),
        blocks=blocks,
    )


def _addresses(path: Path, modules: list[Element]) -> dict[str, list[tuple[str, int]]]:
    """Return the register windows in the processor's memory map by their instance."""
    found: dict[str, list[tuple[str, int]]] = {}
    for module in modules:
        if module.get("MODTYPE") not in _PROCESSORS:
            continue
        for window in module.findall("MEMORYMAP/MEMRANGE"):
            if window.get("MEMTYPE") != "REGISTER":
                continue
            try:
                first = int(window.get("BASEVALUE", ""), 0)
            except ValueError as error:
                raise StorageError(f"{path}: is corrupt (an address is {window.get('BASEVALUE')!r})") from error
            interface = window.get("SLAVEBUSINTERFACE", "")
            found.setdefault(window.get("INSTANCE", ""), []).append((interface, first))
    return found


def _clock_mhz(modules: list[Element]) -> float | None:
    for module in modules:
        clock = _PROCESSORS.get(module.get("MODTYPE", ""))
        for port in module.findall("PORTS/PORT"):
            frequency = port.get("CLKFREQUENCY", "")
            if port.get("NAME") == clock and re.fullmatch("[1-9][0-9]{0,10}", frequency):
                return int(frequency) / 1e6
    return None


def read_design(bit_path: Path, board: Board) -> tuple[BitFile, Handoff]:
    """Read a .bit file and the .hwh next to it, which must be of one design for a board.

    Raises:
        StorageError: a file cannot be read or is damaged, or they are of different designs or for another part.
    """
    bit, handoff = read_bit_file(bit_path), read_handoff(bit_path.with_suffix(".hwh"))
    check_design(bit_path, bit, handoff, board)
    return bit, handoff


def check_design(bit_path: Path, bit: BitFile, handoff: Handoff, board: Board) -> None:
    """Make sure that a bitstream and a hand-off are of one design for a board.

    Raises:
        StorageError: the bitstream is for another board, or the hand-off of another design or part.
    """
    check_board(bit_path, bit, board)
    remedy = "take the .bit and .hwh of one build"
    if bit.design not in (handoff.design, f"{handoff.design}_wrapper"):
        raise StorageError(f"{bit_path}: is of design {bit.design}, its hand-off of {handoff.design}; {remedy}")
    if not same_device(bit.part, handoff.part):
        raise StorageError(f"{bit_path}: is for part {bit.part}, its hand-off for {handoff.part}; {remedy}")


def check_blocks(path: Path, handoff: Handoff, board: Board) -> None:
    """Make sure that the engine and its identity lie where drivers expect them.

    Raises:
        StorageError: a block is missing or has other addresses; ``path`` is the hand-off's.
    """
    addresses = registers.ADDRESS_MAPS[board.family]
    for kind, address in (("conv_engine", addresses.engine), ("engine_id", addresses.identity)):
        block = handoff.block(kind)
        found = None if block is None else [first for _, first in block.addresses]
        if found != [address]:
            there = "no such block" if found is None else ", ".join(map(hex, found)) or "no address"
            raise StorageError(
                f"{path}: {kind} must lie at {address:#x}, there is {there}; take a bitstream that this project built"
            )
