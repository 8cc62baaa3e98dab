"""What ``build.sh`` leaves, checked piece by piece, and bitstreams made elsewhere, on their way into a store."""

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from bitstreams.building.archive import MAIN, MOST_BYTES, REPORTS, SOURCES, read_archive
from bitstreams.building.bit_file import check_board, parse_bit
from bitstreams.building.comparison import compare
from bitstreams.building.handoff import Handoff, check_pair, parse_handoff
from bitstreams.building.reports import (
    CoSimulation,
    Implementation,
    Synthesis,
    Timing,
    Utilisation,
    parse_cosim,
    parse_csynth,
    parse_export,
    parse_implementation,
    parse_timing,
    parse_utilisation,
    parse_values,
)
from bitstreams.store.bitstream import Bitstream, Entry
from bitstreams.store.store import Store
from hw_templates.board import Board, load_board
from hw_templates.conv_engine import registers
from hw_templates.foundation.errors import CodesignError, StorageError
from hw_templates.foundation.json_records import parse_json, reading
from hw_templates.foundation.regular_file import read_regular
from hw_templates.project.record import PROJECT_FILE, ProjectRecord
from hw_templates.project.render import DIGEST_FILE, hardware_sha256

T = TypeVar("T")
Contents = Mapping[str, bytes]


def import_results(store: Store, archive: Path) -> tuple[Entry, bool]:
    """Put what a build left in ``results.tar`` into a store.

    The archive is read once: what is stored are the bytes that were checked.

    Returns:
        The entry, and whether it is new.

    Raises:
        StorageError: the archive is damaged, incomplete or holds what no build leaves, its parts are of different
            designs, its timing fails, or the store cannot be written.
    """
    contents = read_archive(archive)
    try:
        bitstream = check_build(contents)
    except CodesignError as error:
        raise StorageError(f"{archive}: {error}") from error
    main = {suffix: contents[f"{bitstream.design}.{suffix}"] for suffix in MAIN}
    others = {name: content for name, content in contents.items() if "/" in name or name == "tools.txt"}
    return store.add(bitstream, main, others)


def import_files(store: Store, bit: Path, hwh: Path, board: Board) -> tuple[Entry, bool]:
    """Put a bitstream that was made elsewhere, with its hand-off, into a store.

    Returns:
        The entry, and whether it is new.

    Raises:
        StorageError: a file is missing or damaged, they are of different designs, or the bitstream is for another part
            than the board's.
    """
    main = {"bit": read_regular(bit, MOST_BYTES["bit"])}
    header = parse_bit(main["bit"], bit)
    main["hwh"] = read_regular(hwh, MOST_BYTES["hwh"])
    handoff = parse_handoff(main["hwh"], hwh)
    check_board(bit, header, board)
    check_pair(bit, header, handoff)
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


def check_build(contents: Contents) -> Bitstream:
    """Check the members of a ``results.tar`` against each other; what they are together.

    Raises:
        StorageError: one is missing or damaged, they are of different designs, or the design's timing fails; the
            message names the member.
    """
    project, board = _read_project(contents)
    digest, accelerator = project.hardware_sha256, project.accelerator
    design = f"engine_{digest[:8]}"
    names = {suffix: f"{design}.{suffix}" for suffix in MAIN}
    bit_path = Path(names["bit"])
    for name in contents:
        if name.startswith("engine_") and name not in names.values():
            raise StorageError(f"{name}: is of another design, the sources make {design}; build them again")
    bit = parse_bit(_member(contents, names["bit"]), bit_path)
    handoff = parse_handoff(_member(contents, names["hwh"]), Path(names["hwh"]))
    _member(contents, names["xsa"])
    check_board(bit_path, bit, board)
    check_pair(bit_path, bit, handoff)
    if handoff.design != design or bit.user_id != int(digest[:8], 16):
        raise StorageError(f"{bit_path}: is of design {bit.design}, its sources make {design}; build them again")
    _check_blocks(handoff, board)

    _check_offsets(contents)
    synthesis = _report(contents, "csynth.xml", parse_csynth, Synthesis())
    cosim = _report(contents, "conv_engine_cosim.rpt", parse_cosim, CoSimulation())
    if cosim.passed is False:
        raise StorageError("conv_engine_cosim.rpt: the RTL disagrees with the C++ on the test image")
    timing = _check_timing(contents)
    export = _report(contents, "export_impl.xml", parse_export, Implementation())
    engine = _report(contents, "utilization_engine.rpt", parse_utilisation, Utilisation())
    tools = _read_tools(contents)
    with reading(SOURCES + PROJECT_FILE, "emit and build again"):
        figures = compare(
            accelerator,
            board,
            project.predicted.latency_ms * accelerator.clock_mhz * 1e3,
            handoff.clock_mhz,
            synthesis,
            cosim,
            timing,
            export.utilisation if engine == Utilisation() else engine,
        )
    return Bitstream(
        determined_by={"hardware_sha256": digest, **tools},
        board=board.name,
        part=board.part,
        design=design,
        clock_mhz=handoff.clock_mhz,
        hardware_sha256=digest,
        accelerator=accelerator,
        tools=tools,
        timing=timing,
        utilisation=_report(contents, "utilization.rpt", parse_utilisation, Utilisation()),
        figures=figures,
    )


def _member(contents: Contents, name: str) -> bytes:
    if name not in contents:
        raise StorageError(f"{name}: is missing; name a results.tar of build.sh")
    return contents[name]


def _report(contents: Contents, name: str, parse: Callable[[bytes, str], T], without: T) -> T:
    """What a report says, or ``without`` where the tools left none."""
    content = contents.get(REPORTS + name)
    return without if content is None else parse(content, name)


def _read_project(contents: Contents) -> tuple[ProjectRecord, Board]:
    """The project's record, whose sources must be what its digest says, and its board."""
    record, stated = (_member(contents, SOURCES + name) for name in (PROJECT_FILE, DIGEST_FILE))
    with reading(SOURCES + PROJECT_FILE, "emit and build again"):
        project = parse_json(record, ProjectRecord, "project")
        board = load_board(project.board)
    with reading(SOURCES.rstrip("/"), "build again"):
        texts = {
            name.removeprefix(SOURCES): content.decode()
            for name, content in contents.items()
            if name.startswith(SOURCES)
        }
    if not hardware_sha256(texts).encode() == stated.strip() == project.hardware_sha256.encode():
        raise StorageError(f"{SOURCES}: a source was changed after it was emitted; emit and build again")
    return project, board


def _read_tools(contents: Contents) -> dict[str, str]:
    """Tool to version; both determine the hardware."""
    tools = parse_values(_member(contents, "tools.txt"))
    if tools.keys() != {"hls", "vivado"} or not all(re.fullmatch("[ -~]{1,60}", said) for said in tools.values()):
        raise StorageError("tools.txt: must hold a version of hls and one of vivado; build again")
    return tools


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


def _check_offsets(contents: Contents) -> None:
    """The register offsets in the header that HLS writes, where it is there, must be the table's."""
    name = "xconv_engine_hw.h"
    header = contents.get(REPORTS + name)
    if header is None:
        return
    found = re.findall(r"_CONTROL_ADDR_(\w+?)_DATA\s+(0x[0-9a-fA-F]{1,16})", header.decode(errors="replace"))
    made = {register.lower(): int(offset, 16) for register, offset in found}
    for register in registers.ENGINE:
        if register.name != "control" and made.get(register.name) != register.offset:
            raise StorageError(
                f"{name}: register {register.name} must lie at {register.offset:#x}, "
                f"this Vitis HLS put it at {made.get(register.name, -1):#x}"
            )


def _check_timing(contents: Contents) -> Timing:
    """Slacks, which must be known and not negative; what the Tcl did not write is taken from the report."""
    name = "implementation.txt"
    timing = parse_implementation(_member(contents, REPORTS + name), name).timing
    if timing.wns_ns is None or timing.whs_ns is None:
        timing = _report(contents, "timing.rpt", parse_timing, Timing())
    for kind, slack in (("setup", timing.wns_ns), ("hold", timing.whs_ns)):
        if slack is None:
            raise StorageError(f"{name}: no {kind} slack is reported; build again")
        if slack < 0:
            raise StorageError(f"{name}: {kind} slack is {slack:g} ns; take a slower clock or a smaller array")
    return timing
