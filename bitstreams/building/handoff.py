"""The hardware hand-off (.hwh) that Vivado writes beside a bitstream: its blocks, their addresses and the clock."""

import re
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element

from bitstreams.building.archive import MOST_BYTES
from bitstreams.building.bit_file import BitFile, same_device
from bitstreams.building.xml_file import parse_xml
from hw_templates.foundation.errors import StorageError
from hw_templates.foundation.regular_file import read_regular

_PROCESSORS = {"processing_system7": "FCLK_CLK0", "zynq_ultra_ps_e": "pl_clk0"}


@dataclass(frozen=True)
class Block:
    """One block of the design.

    Attributes:
        instance: its name in the design.
        kind: name of its IP or module, such as conv_engine.
        vlnv: vendor, library, name and version; empty where the hand-off has none.
        addresses: (interface, first address) of its register windows as the processor sees them.
    """

    instance: str
    kind: str
    vlnv: str
    addresses: tuple[tuple[str, int], ...]


@dataclass(frozen=True, kw_only=True)
class Handoff:
    """What a hand-off says.

    Attributes:
        design: name of the block design.
        part: device and package, such as 7z020clg400.
        vivado: version of the tool.
        clock_mhz: what the processor's first clock to the logic really is, or None.
        blocks: in the order of the file.
    """

    design: str
    part: str
    vivado: str | None
    clock_mhz: float | None
    blocks: tuple[Block, ...]

    def block(self, kind: str) -> Block | None:
        """The first block of that kind, or None."""
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
        Block(
            instance=module.get("INSTANCE", ""),
            kind=module.get("MODTYPE", ""),
            vlnv=module.get("VLNV", ""),
            addresses=tuple(addresses.get(module.get("INSTANCE", ""), ())),
        )
        for module in modules
    )
    return Handoff(
        design=system.get("NAME", ""),
        part=system.get("DEVICE", "") + system.get("PACKAGE", ""),
        vivado=root.get("VIVADOVERSION"),
        clock_mhz=_clock_mhz(modules),
        blocks=blocks,
    )


def _addresses(path: Path, modules: list[Element]) -> dict[str, list[tuple[str, int]]]:
    """Instance to its register windows in the processor's memory map."""
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


def check_pair(bit_path: Path, bit: BitFile, handoff: Handoff) -> None:
    """Make sure that a bitstream and a hand-off are of one design.

    Raises:
        StorageError: the hand-off is of another design or part than the bitstream.
    """
    if bit.design not in (handoff.design, f"{handoff.design}_wrapper"):
        raise StorageError(
            f"{bit_path}: is of design {bit.design}, the hand-off beside it of {handoff.design}; "
            "take the .bit and .hwh of one build"
        )
    if not same_device(bit.part, handoff.part):
        raise StorageError(
            f"{bit_path}: is for part {bit.part}, the hand-off beside it for {handoff.part}; "
            "take the .bit and .hwh of one build"
        )
