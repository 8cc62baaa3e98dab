"""``results.tar`` of a build, read within bounds: what a build does not leave is refused before it is read."""

import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from hw_templates.foundation.errors import StorageError
from hw_templates.foundation.regular_file import open_regular

MAIN = ("bit", "hwh", "xsa")
"""Suffixes of the files that a bitstream consists of."""
SOURCES = "hardware/"
"""Folder of the project's sources and its record."""
REPORTS = "reports/"
"""Folder of what the tools reported."""

_MIB = 1 << 20
_MOST_MEMBERS = 500
_MOST_EXTENDED_BYTES = 64 << 10
MOST_BYTES = {"bit": 128 * _MIB, "hwh": 32 * _MIB, "xsa": 256 * _MIB, "report": 32 * _MIB, "source": 8 * _MIB}
"""Largest files of each kind; the largest device's bitstream has 113 MiB, an ordinary board's 4 to 20."""
# The largest archive there can be: all of it is in memory while it is checked.
_MOST_IN_ALL = 512 * _MIB

HLS_REPORTS = ("csynth.xml", "export_impl.xml", "conv_engine_cosim.rpt", "xconv_engine_hw.h")
"""Reports of Vitis HLS."""
_VIVADO_REPORTS = ("timing.rpt", "utilization.rpt", "utilization_engine.rpt", "implementation.txt")
_PLAIN_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_KNOWN = (
    *((rf"engine_[0-9a-f]{{8}}\.{suffix}", suffix) for suffix in MAIN),
    (r"tools\.txt", "report"),
    (REPORTS + "(" + "|".join(map(re.escape, (*HLS_REPORTS, *_VIVADO_REPORTS))) + ")", "report"),
    (rf"{SOURCES}(hardware\.sha256|project\.json|(hls|rtl|tcl)/{_PLAIN_NAME})", "source"),
)
# Records of an extended header that change which member follows, or how its content is laid out.
_CHANGES_MEMBER = re.compile(rb"(^|\n)\d+ (path|size|linkpath|hdrcharset|GNU\.sparse[^=]*|SCHILY\.realsize)=")
_WRONG_SUM = "the checksum of a header is wrong"
_NO_NUMBER = "a header holds no number where one belongs"
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")


def read_archive(path: Path) -> dict[str, bytes]:
    """Read the members of a ``results.tar``: name to content, each once, without folders.

    Raises:
        StorageError: the file cannot be read, is no tar, is cut off, or holds what no build leaves: another name, a
            link, a name twice, or more than a build makes.
    """
    with open_regular(path, _MOST_IN_ALL) as file:
        try:
            return dict(read_members(file))
        except StorageError as error:
            raise StorageError(f"{path}: {error}") from error
        except OSError as error:
            raise StorageError(f"{path}: cannot be read ({error.strerror or error})") from error


def read_members(file: BinaryIO) -> Iterator[tuple[str, bytes]]:
    """Yield names and contents of the members of an uncompressed tar (POSIX.1-1988 ustar and its successors).

    Raises:
        StorageError: as of :func:`read_archive`; the message does not name the file.
    """
    seen: set[str] = set()
    for _ in range(_MOST_MEMBERS):
        header = _next_header(file)
        if header is None:
            return
        if header.type in (tarfile.XHDTYPE, tarfile.XGLTYPE):
            _skip_extended(file, header)
        elif header.isdir():
            if header.size:
                raise _foreign(f"{header.name}/")
        else:
            name = header.name.removeprefix("./")
            kind = next((kind for known, kind in _KNOWN if re.fullmatch(known, name)), None)
            if kind is None or header.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
                raise _foreign(header.name)
            if name in seen:
                raise StorageError(f"holds {name} twice; name a results.tar of build.sh")
            if header.size > MOST_BYTES[kind]:
                raise StorageError(
                    f"{name}: has {header.size:,} bytes, more than the {MOST_BYTES[kind]:,} that a build leaves"
                )
            seen.add(name)
            yield name, _content(file, header)
    raise StorageError(
        f"holds more than {_MOST_MEMBERS} members, which no build leaves; name a results.tar of build.sh"
    )


def _foreign(name: str) -> StorageError:
    return StorageError(f"holds {name!r}, which no build leaves; name a results.tar of build.sh")


def _next_header(file: BinaryIO) -> tarfile.TarInfo | None:
    """Return the next member's header, or None at the end of the archive."""
    block = file.read(tarfile.BLOCKSIZE)
    if block.startswith(_COMPRESSED):
        raise StorageError("is compressed; unpack it and name the results.tar that comes out")
    if len(block) < tarfile.BLOCKSIZE:
        raise _damaged("it has no end")
    if not any(block):
        return None
    try:
        header = tarfile.TarInfo.frombuf(block, "ascii", "backslashreplace")
    except tarfile.HeaderError as error:
        raise _damaged(_WRONG_SUM if str(error) == "bad checksum" else _NO_NUMBER) from error
    if header.size < 0:
        raise _damaged(_NO_NUMBER)
    return header


def _damaged(reason: str) -> StorageError:
    return StorageError(f"is damaged or no tar ({reason}); copy it again")


def _content(file: BinaryIO, header: tarfile.TarInfo) -> bytes:
    """Return the content that follows a header, without its padding to whole blocks."""
    padded = -(-header.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
    content = file.read(padded)
    if len(content) < padded:
        raise StorageError(f"is cut off in {header.name!r}; copy it again")
    return content[: header.size]


def _skip_extended(file: BinaryIO, header: tarfile.TarInfo) -> None:
    """Pass over times and owners, which some tars write before each member."""
    if header.size > _MOST_EXTENDED_BYTES or _CHANGES_MEMBER.search(_content(file, header)):
        raise StorageError("holds an extended header that no build leaves; name a results.tar of build.sh")
