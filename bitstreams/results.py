"""What ``build.sh`` leaves, checked piece by piece, and bitstreams made elsewhere, on their way into a store."""

import hashlib
import json
import re
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from bitstreams.bit_file import check_board, read_bit_file
from bitstreams.bitstream import Bitstream, Entry
from bitstreams.figures import compare
from bitstreams.handoff import Handoff, check_pair, read_handoff
from bitstreams.reports import (
    CoSimulation,
    Implementation,
    Synthesis,
    Timing,
    Utilisation,
    read_cosim,
    read_csynth,
    read_export,
    read_implementation,
    read_timing,
    read_utilisation,
    read_values,
)
from bitstreams.store import Store
from hw_templates import registers
from hw_templates.accelerator import Accelerator
from hw_templates.board import Board, load_board
from hw_templates.errors import CodesignError, StorageError
from hw_templates.render import DIGEST_FILE, hardware_sha256

_MOST_BYTES = 1 << 30
_SOURCES = "hardware"


def import_results(store: Store, archive: Path) -> tuple[Entry, bool]:
    """Put what a build left in ``results.tar`` into a store.

    Returns:
        The entry, and whether it is new.

    Raises:
        StorageError: the archive is damaged or incomplete, its parts are of different designs, its timing fails, or the
            store cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="codesign-") as temporary:
        folder = Path(temporary)
        names = _unpack(archive, folder)
        try:
            bitstream, main = _read_build(folder)
        except CodesignError as error:
            # Paths of the temporary folder say nothing to a reader.
            message = str(error).replace(f"{folder}/", "")
            raise StorageError(f"{archive}: {message}") from error
        others = {name: (folder / name).read_bytes() for name in names if name not in main.values()}
        return store.add(bitstream, {kind: (folder / name).read_bytes() for kind, name in main.items()}, others)


def import_files(store: Store, bit: Path, hwh: Path, board: Board) -> tuple[Entry, bool]:
    """Put a bitstream that was made elsewhere, with its hand-off, into a store.

    Returns:
        The entry, and whether it is new.

    Raises:
        StorageError: a file is missing or damaged, they are of different designs, or the bitstream is for another part
            than the board's.
    """
    header, handoff = read_bit_file(bit), read_handoff(hwh)
    check_board(bit, header, board)
    check_pair(bit, header, handoff)
    main = {"bit": bit.read_bytes(), "hwh": hwh.read_bytes()}
    bitstream = Bitstream(
        determined_by={kind: hashlib.sha256(content).hexdigest() for kind, content in main.items()},
        board=board.name,
        part=board.part,
        design=handoff.design,
        clock_mhz=handoff.clock_mhz,
        hardware_sha256=None,
        accelerator=None,
        tools={} if header.vivado is None else {"vivado": header.vivado},
        timing=Timing(),
        utilisation=Utilisation(),
        figures=(),
    )
    return store.add(bitstream, main, {})


def _unpack(archive: Path, folder: Path) -> list[str]:
    """Names of the regular files of an archive, written below ``folder``; nothing outside it is touched."""
    names = []
    try:
        with tarfile.open(archive) as tar:
            members = [member for member in tar if not member.isdir()]
            if sum(member.size for member in members) > _MOST_BYTES:
                raise StorageError(f"{archive}: holds more than a build leaves; name a results.tar of build.sh")
            for member in members:
                name = member.name.removeprefix("./")
                content = tar.extractfile(member) if member.isreg() else None
                if content is None or name.startswith("/") or ".." in Path(name).parts:
                    raise StorageError(f"{archive}: holds {member.name!r}, which no build leaves")
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(content.read())
                names.append(name)
    except (tarfile.TarError, EOFError) as error:
        raise StorageError(f"{archive}: is damaged ({error}); copy it again") from error
    except OSError as error:
        raise StorageError(f"{archive}: cannot be unpacked ({error.strerror or error})") from error
    return names


def _read_build(folder: Path) -> tuple[Bitstream, dict[str, str]]:
    """The build in an unpacked archive, and suffix to name of its main files."""
    project = _read_project(folder / _SOURCES)
    digest, board = str(project["hardware_sha256"]), load_board(str(project["board"]))
    accelerator = Accelerator.from_dict(project["accelerator"])
    design = f"engine_{digest[:8]}"
    main = {kind: f"{design}.{kind}" for kind in ("bit", "hwh", "xsa")}
    bit_path = folder / main["bit"]
    bit, handoff = read_bit_file(bit_path), read_handoff(folder / main["hwh"])
    if not (folder / main["xsa"]).is_file():
        raise StorageError(f"{main['xsa']}: is missing")
    check_board(bit_path, bit, board)
    check_pair(bit_path, bit, handoff)
    if handoff.design != design or bit.user_id != int(digest[:8], 16):
        raise StorageError(f"{bit_path}: is of design {bit.design}, its sources make {design}; build them again")
    _check_blocks(handoff, board)

    reports = folder / "reports"
    _check_offsets(reports / "xconv_engine_hw.h")
    synthesis = read_csynth(reports / "csynth.xml") if (reports / "csynth.xml").exists() else Synthesis()
    cosim_report = reports / "conv_engine_cosim.rpt"
    cosim = read_cosim(cosim_report) if cosim_report.exists() else CoSimulation()
    if cosim.passed is False:
        raise StorageError(f"{cosim_report.name}: the RTL disagrees with the C++ on the test image")
    implementation = read_implementation(reports / "implementation.txt")
    timing = _check_timing(reports, implementation.timing)
    export = read_export(reports / "export_impl.xml") if (reports / "export_impl.xml").exists() else Implementation()
    engine = _utilisation(reports / "utilization_engine.rpt")
    tools = read_values(folder / "tools.txt")
    figures = compare(
        accelerator,
        board,
        float(project["predicted"]["latency_ms"]) * accelerator.clock_mhz * 1e3,
        handoff.clock_mhz,
        synthesis,
        cosim,
        timing,
        export.utilisation if engine == Utilisation() else engine,
    )
    bitstream = Bitstream(
        determined_by={"hardware_sha256": digest, **tools},
        board=board.name,
        part=board.part,
        design=design,
        clock_mhz=handoff.clock_mhz,
        hardware_sha256=digest,
        accelerator=accelerator,
        tools=tools,
        timing=timing,
        utilisation=_utilisation(reports / "utilization.rpt"),
        figures=figures,
    )
    return bitstream, main


def _read_project(sources: Path) -> dict[str, Any]:
    """The project's record, whose sources must be what its digest says."""
    try:
        texts = {str(path.relative_to(sources)): path.read_text() for path in sources.rglob("*") if path.is_file()}
        project = json.loads(texts["project.json"])
        stated = texts[DIGEST_FILE].strip()
        recorded = project["hardware_sha256"], project["board"], project["accelerator"], project["predicted"]
    except KeyError as error:
        raise StorageError(f"{_SOURCES}: {error.args[0]} is missing; name a results.tar of build.sh") from error
    except (OSError, ValueError, TypeError) as error:
        raise StorageError(f"{_SOURCES}: is corrupt ({error}); build again") from error
    if not hardware_sha256(texts) == stated == recorded[0]:
        raise StorageError(f"{_SOURCES}: a source was changed after it was emitted; emit and build again")
    return dict(project)


def _check_blocks(handoff: Handoff, board: Board) -> None:
    """A driver finds engine and identity where the register table says."""
    addresses = registers.ADDRESS_MAPS[board.family]
    for kind, address in (("conv_engine", addresses.engine), ("engine_id", addresses.identity)):
        block = handoff.block(kind)
        if block is None or [first for _, first in block.addresses] != [address]:
            there = "no such block" if block is None else ", ".join(hex(first) for _, first in block.addresses)
            raise StorageError(
                f"{handoff.design}.hwh: {kind} must lie at {address:#x}, there is {there or 'no address'}"
            )


def _check_offsets(header: Path) -> None:
    """The register offsets in the header that HLS writes, where it is there, must be the table's."""
    if not header.exists():
        return
    found = re.findall(r"_CONTROL_ADDR_(\w+?)_DATA\s+(0x[0-9a-fA-F]+)", header.read_text(errors="replace"))
    made = {name.lower(): int(offset, 16) for name, offset in found}
    for register in registers.ENGINE:
        if register.name != "control" and made.get(register.name) != register.offset:
            raise StorageError(
                f"{header.name}: register {register.name} must lie at {register.offset:#x}, "
                f"this Vitis HLS put it at {made.get(register.name, -1):#x}"
            )


def _check_timing(reports: Path, timing: Timing) -> Timing:
    """Slacks, which must be known and not negative; what the Tcl did not write is taken from the report."""
    if timing.wns_ns is None or timing.whs_ns is None:
        timing = read_timing(reports / "timing.rpt")
    for name, slack in (("setup", timing.wns_ns), ("hold", timing.whs_ns)):
        if slack is None:
            raise StorageError(f"{reports.name}: no {name} slack is reported; build again")
        if slack < 0:
            raise StorageError(f"{reports.name}: {name} slack is {slack:g} ns; take a slower clock or a smaller array")
    return timing


def _utilisation(path: Path) -> Utilisation:
    return read_utilisation(path) if path.exists() else Utilisation()
