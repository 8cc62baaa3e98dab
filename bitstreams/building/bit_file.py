"""The header of a Xilinx .bit file: which design it is, for which part, by which tool.

The format is five tagged fields (design, part, date, time, configuration data), each with its big-endian length
("Xilinx .bit file format", FPGA FAQ 0026). Vivado writes options into the design's field:
``name;UserID=0X...;Version=2023.2``.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

from bitstreams.building.archive import MOST_BYTES
from hw_templates.board import Board
from hw_templates.foundation.errors import StorageError
from hw_templates.foundation.regular_file import read_regular

PREAMBLE = bytes.fromhex("00090ff00ff00ff00ff0000001")
SYNC = bytes.fromhex("aa995566")


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


def read_bit_file(path: Path) -> BitFile:
    """Read the header of a .bit file, whose configuration data must be complete.

    Raises:
        StorageError: it cannot be read, is no .bit file, or is truncated.
    """
    return parse_bit(read_regular(path, MOST_BYTES["bit"]), path)


def parse_bit(content: bytes, path: Path) -> BitFile:
    """Read the header in the content of a .bit file; the path is for messages alone.

    Raises:
        StorageError: it is no .bit file, or is truncated.
    """
    if not content.startswith(PREAMBLE):
        raise StorageError(f"{path}: is no .bit file (its first bytes are others); name one that Vivado wrote")
    fields, start, length = _fields(path, content)
    left = len(content) - start
    if left < length:
        raise StorageError(f"{path}: is truncated ({left:,} of {length:,} bytes of configuration data); copy it again")
    if SYNC not in content[start : start + 4096]:
        raise StorageError(f"{path}: is corrupt (no synchronisation word in its configuration data); copy it again")
    design, *options = fields["a"].split(";")
    named = dict(option.partition("=")[::2] for option in options)
    try:
        user_id = int(named["UserID"], 16) if "UserID" in named else None
    except ValueError:
        user_id = None
    return BitFile(
        design=design,
        part=fields["b"],
        user_id=user_id,
        vivado=named.get("Version"),
        configuration_bytes=length,
    )


def _fields(path: Path, content: bytes) -> tuple[dict[str, str], int, int]:
    """Return fields a to d, and the offset and length of the configuration data of field e."""
    at = len(PREAMBLE)
    fields = {}
    try:
        for tag in "abcd":
            if content[at] != ord(tag):
                raise StorageError(f"{path}: is corrupt (field {tag} is missing in its header); copy it again")
            (length,) = struct.unpack_from(">H", content, at + 1)
            text = content[at + 3 : at + 3 + length]
            fields[tag] = text.rstrip(b"\0").decode("ascii")
            if not fields[tag].isprintable():
                raise StorageError(f"{path}: is corrupt (its header is no text); copy it again")
            at += 3 + length
        if content[at] != ord("e"):
            raise StorageError(f"{path}: is corrupt (field e is missing in its header); copy it again")
        (length,) = struct.unpack_from(">I", content, at + 1)
    except (IndexError, struct.error) as error:
        raise StorageError(f"{path}: is truncated within its header; copy it again") from error
    except UnicodeDecodeError as error:
        raise StorageError(f"{path}: is corrupt (its header is no text); copy it again") from error
    return fields, at + 5, length


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
