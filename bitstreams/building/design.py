"""What a bitstream is: the header of its .bit, and the hardware hand-off (.hwh) that Vivado writes with it.

A .bit begins with five tagged fields (design, part, date, time, configuration data), each with its big-endian length
("Xilinx .bit file format", FPGA FAQ 0026). Vivado writes options into the design's field:
``name;UserID=0X...;Version=2023.2``. A hand-off states the design's blocks, their addresses and the clock.
"""

import re
import struct
from dataclasses import dataclass
from pathlib import Path

from defusedxml.ElementTree import fromstring

from bitstreams.building.archive import MOST_BYTES
from hw_templates.board import Board
from hw_templates.conv_engine import registers
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.foundation.errors import StorageError
from hw_templates.foundation.json_records import reading
from hw_templates.foundation.regular_file import read_regular

PREAMBLE = bytes.fromhex("00090ff00ff00ff00ff0000001")
SYNC = bytes.fromhex("aa995566")

PROCESSORS = {"zynq-7000": ("processing_system7", "FCLK_CLK0"), "zynq-ultrascale+": ("zynq_ultra_ps_e", "pl_clk0")}
"""Board families to the kind of their processor's block and its first clock to the logic."""

ENGINES = {Implementation.HLS: "conv_engine", Implementation.RTL: "engine_axi"}
"""Implementations of the engine to the kind of its block."""


@dataclass(frozen=True, kw_only=True)
class BitFile:
    """Header of a .bit file.

    Attributes:
        design: name of its top module.
        part: device and package as the tool wrote them, such as 7z020clg400.
        user_id: 32 bits that its maker chose, or None.
        vivado: version of the tool, or None.
        configuration_bytes: length of the data that configures the device.
    """

    design: str
    part: str
    user_id: int | None
    vivado: str | None
    configuration_bytes: int


@dataclass(frozen=True, kw_only=True)
class Handoff:
    """Content of a hand-off.

    Attributes:
        design: name of the block design.
        part: device and package, such as 7z020clg400.
        clock_mhz: actual frequency of the processor's first clock to the logic, or None.
        addresses: kinds of blocks (names of their IP or module, such as conv_engine) to the first addresses of their
            register windows as the processor sees them.
    """

    design: str
    part: str
    clock_mhz: float | None
    addresses: dict[str, list[int]]


def read_design(bit_path: Path, board: Board) -> tuple[BitFile, Handoff]:
    """Read a .bit file and the .hwh next to it, which must be of one design for a board.

    Raises:
        StorageError: a file cannot be read or is damaged, or they are of different designs or for another part.
    """
    hwh_path = bit_path.with_suffix(".hwh")
    bit, hwh = (read_regular(path, MOST_BYTES[path.suffix[1:]]) for path in (bit_path, hwh_path))
    return parse_design(bit_path, bit, hwh_path, hwh, board)


def parse_design(bit_path: Path, bit: bytes, hwh_path: Path, hwh: bytes, board: Board) -> tuple[BitFile, Handoff]:
    """Read the contents of a .bit file and of a .hwh file, which must be of one design for a board.

    Args:
        bit_path, hwh_path: what messages call the files.
        bit, hwh: their contents.
        board: the board.

    Raises:
        StorageError: a file is damaged, the bitstream is for another board, or the hand-off of another design or part.
    """
    header, handoff = parse_bit(bit, bit_path), parse_handoff(hwh, hwh_path)
    check_board(bit_path, header, board)
    remedy = "take the .bit and .hwh of one build"
    if header.design not in (handoff.design, f"{handoff.design}_wrapper"):
        raise StorageError(f"{bit_path}: is of design {header.design}, its hand-off of {handoff.design}; {remedy}")
    if not same_device(header.part, handoff.part):
        raise StorageError(f"{bit_path}: is for part {header.part}, its hand-off for {handoff.part}; {remedy}")
    return header, handoff


def parse_bit(content: bytes, path: Path) -> BitFile:
    """Read the header in the content of a .bit file; the path is for messages alone.

    Raises:
        StorageError: it is no .bit file, or is truncated.
    """
    if not content.startswith(PREAMBLE):
        raise StorageError(f"{path}: is no .bit file (its first bytes are others); name one that Vivado wrote")
    fields, start = {}, len(PREAMBLE)
    try:
        for tag, length_format in zip("abcde", (">H", ">H", ">H", ">H", ">I"), strict=True):
            if content[start] != ord(tag):
                raise StorageError(f"{path}: is corrupt (field {tag} is missing in its header); copy it again")
            (length,) = struct.unpack_from(length_format, content, start + 1)
            start += 1 + struct.calcsize(length_format)
            if tag != "e":
                fields[tag] = content[start : start + length].rstrip(b"\0").decode("ascii")
                if not fields[tag].isprintable():
                    raise UnicodeError(fields[tag])
                start += length
    except (IndexError, struct.error) as error:
        raise StorageError(f"{path}: is truncated within its header; copy it again") from error
    except UnicodeError as error:
        raise StorageError(f"{path}: is corrupt (its header is no text); copy it again") from error
    left = len(content) - start
    if left < length:
        raise StorageError(f"{path}: is truncated ({left:,} of {length:,} bytes of configuration data); copy it again")
    if SYNC not in content[start : start + 4096]:
        raise StorageError(f"{path}: is corrupt (no synchronisation word in its configuration data); copy it again")
    design, *options = fields["a"].split(";")
    named = dict(option.partition("=")[::2] for option in options)
    user_id = re.fullmatch("(0[xX])?[0-9a-fA-F]+", named.get("UserID", ""))
    return BitFile(
        design=design,
        part=fields["b"],
        user_id=int(user_id[0], 16) if user_id else None,
        vivado=named.get("Version"),
        configuration_bytes=length,
    )


def parse_handoff(content: bytes, path: Path) -> Handoff:
    """Read the content of the .hwh file of that path, which only names it in messages.

    Raises:
        StorageError: it is no XML, or no hand-off.
    """
    with reading(path, "take the .hwh that was written with the .bit"):
        root = fromstring(content)
    system = root.find("SYSTEMINFO")
    if system is None or not system.get("NAME"):
        raise StorageError(f"{path}: is no hardware hand-off (SYSTEMINFO is missing)")
    design, device, package = (system.get(name, "") for name in ("NAME", "DEVICE", "PACKAGE"))
    if not f"{design}{device}{package}".isprintable():
        raise StorageError(f"{path}: is corrupt (SYSTEMINFO holds what is no text); copy it again")
    kinds = {module.get("INSTANCE"): module.get("MODTYPE", "") for module in root.iterfind("MODULES/MODULE")}
    addresses: dict[str, list[int]] = {kind: [] for kind in kinds.values()}
    frequencies = []
    for processor, clock in PROCESSORS.values():
        for window in root.iterfind(f"MODULES/MODULE[@MODTYPE='{processor}']/MEMORYMAP/MEMRANGE[@MEMTYPE='REGISTER']"):
            try:
                first = int(window.get("BASEVALUE", ""), 0)
            except ValueError as error:
                raise StorageError(f"{path}: is corrupt (an address is {window.get('BASEVALUE')!r})") from error
            if window.get("INSTANCE") in kinds:
                addresses[kinds[window.get("INSTANCE")]].append(first)
        for port in root.iterfind(f"MODULES/MODULE[@MODTYPE='{processor}']/PORTS/PORT[@NAME='{clock}']"):
            frequencies += re.findall("^[1-9][0-9]{0,10}$", port.get("CLKFREQUENCY", ""))
    return Handoff(
        design=design,
        part=device + package,
        clock_mhz=int(frequencies[0]) / 1e6 if frequencies else None,
        addresses=addresses,
    )


def same_device(part: str, device_and_package: str) -> bool:
    """Return whether two parts, written with or without xc, dashes and speed grade, are one device in one package.

    Args:
        part: as a tool wrote it, at least device and package.
        device_and_package: what it must be.

    >>> same_device("xczu7ev-ffvc1156-2-e", "zu7evffvc1156"), same_device("7z020clg484", "xc7z020clg400")
    (True, False)
    """
    return _plain(part).startswith(_plain(device_and_package))


def _plain(part: str) -> str:
    return part.lower().replace("-", "").removeprefix("xc")


def check_board(path: Path, bit: BitFile, board: Board) -> None:
    """Make sure that a bitstream is for a board.

    Raises:
        StorageError: its header names another part.
    """
    # A Zynq-7000 part is device and package without a dash, then the grade; an UltraScale+ part has one between them.
    parts = board.part.split("-")[: 1 if board.family == "zynq-7000" else 2]
    if not same_device(bit.part, "".join(parts)):
        raise StorageError(f"{path}: is for part {bit.part}, {board.name} has {board.part}; build it for that board")


def check_blocks(path: Path, handoff: Handoff, board: Board, implementation: Implementation) -> None:
    """Make sure that the engine and its identity lie where drivers expect them.

    Raises:
        StorageError: a block is missing or has other addresses, or the engine is the other implementation; ``path`` is
            the hand-off's.
    """
    for other, kind in ENGINES.items():
        if other != implementation and kind in handoff.addresses:
            raise StorageError(
                f"{path}: holds the engine of implementation {other} ({kind}), expected {implementation} "
                f"({ENGINES[implementation]}); build the project's own bitstream"
            )
    places = registers.ADDRESS_MAPS[board.family]
    for kind, address in ((ENGINES[implementation], places.engine), ("engine_id", places.identity)):
        found = handoff.addresses.get(kind)
        if found != [address]:
            there = "no such block" if found is None else ", ".join(map(hex, found)) or "no address"
            raise StorageError(
                f"{path}: {kind} must lie at {address:#x}, there is {there}; take a bitstream that this project built"
            )
