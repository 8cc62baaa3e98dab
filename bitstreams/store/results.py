"""What ``build.sh`` leaves, checked piece by piece, and bitstreams made elsewhere, on their way into a store."""

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from bitstreams.building.archive import HLS_REPORTS, MAIN, MOST_BYTES, REPORTS, SOURCES, read_archive
from bitstreams.building.design import check_blocks, parse_bit, parse_design
from bitstreams.building.reports import (
    CoSimulation,
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
    read_report,
)
from bitstreams.store.bitstream import Bitstream, Entry, Quantity
from bitstreams.store.store import Store
from cost_models.resources import RESOURCES, Resources, estimate_resources
from hw_templates.board import Board, board_record, load_board
from hw_templates.conv_engine import registers
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.foundation.errors import CodesignError, StorageError
from hw_templates.foundation.json_records import parse_json, reading
from hw_templates.foundation.regular_file import read_regular
from hw_templates.project.record import PROJECT_FILE, ProjectRecord
from hw_templates.project.render import DIGEST_FILE, hardware_sha256, is_source

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
    # What is no .bit is refused before a .hwh is looked for.
    parse_bit(main["bit"], bit)
    main["hwh"] = read_regular(hwh, MOST_BYTES["hwh"])
    header, handoff = parse_design(bit, main["bit"], hwh, main["hwh"], board)
    bitstream = Bitstream(
        determined_by={kind: hashlib.sha256(content).hexdigest() for kind, content in main.items()},
        board=board_record(board),
        part=board.part,
        design=handoff.design,
        clock_mhz=handoff.clock_mhz,
        tools={} if header.vivado is None else {"vivado": header.vivado},
    )
    return store.add(bitstream, main, {})


def check_build(contents: Contents) -> Bitstream:
    """Check the members of a ``results.tar`` against each other, and return the bitstream that they make.

    Raises:
        StorageError: one is missing or damaged, they are of different designs, or the design's timing fails; the
            message names the member.
    """
    project, board = _read_project(contents)
    digest, accelerator = project.hardware_sha256, project.accelerator
    hls = project.implementation == Implementation.HLS
    design = f"engine_{digest[:8]}"
    bit_path, hwh_path, xsa_path = (Path(f"{design}.{suffix}") for suffix in MAIN)
    for name in contents:
        if name.startswith("engine_") and Path(name).stem != design:
            raise StorageError(f"{name}: is of another design, the sources make {design}; build them again")
    if not hls and (foreign := [name for name in HLS_REPORTS if REPORTS + name in contents]):
        raise StorageError(f"{REPORTS}{foreign[0]}: is of Vitis HLS, which does not build the engine in Verilog")
    bit, hwh, _ = (_member(contents, path.name) for path in (bit_path, hwh_path, xsa_path))
    header, handoff = parse_design(bit_path, bit, hwh_path, hwh, board)
    if handoff.design != design or header.user_id != int(digest[:8], 16):
        raise StorageError(f"{bit_path}: is of design {header.design}, its sources make {design}; build them again")
    check_blocks(hwh_path, handoff, board, project.implementation)
    _check_offsets(contents)
    synthesis = _report(contents, "csynth.xml", parse_csynth)
    cosim = _report(contents, "conv_engine_cosim.rpt", parse_cosim)
    if cosim.passed is False:
        raise StorageError("conv_engine_cosim.rpt: the RTL disagrees with the C++ on the test image")
    timing = _check_timing(contents)
    export = _report(contents, "export_impl.xml", parse_export)
    engine = _report(contents, "utilization_engine.rpt", parse_utilisation)
    tools = _read_tools(contents, hls)
    with reading(SOURCES + PROJECT_FILE, "emit and build again"):
        figures = compare(
            estimate_resources(accelerator, board, project.implementation),
            accelerator.clock_mhz,
            project.predicted.latency_ms * accelerator.clock_mhz * 1e3,
            handoff.clock_mhz,
            synthesis,
            cosim,
            timing,
            export if engine == Utilisation() else engine,
        )
    return Bitstream(
        determined_by={"hardware_sha256": digest, **tools},
        board=board_record(board),
        part=board.part,
        design=design,
        clock_mhz=handoff.clock_mhz,
        hardware_sha256=digest,
        implementation=project.implementation,
        accelerator=accelerator,
        tools=tools,
        timing=timing,
        utilisation=_report(contents, "utilization.rpt", parse_utilisation),
        figures=figures,
    )


def compare(
    needed: Resources,
    asked_mhz: float,
    latency_cycles: float,
    clock_mhz: float | None,
    synthesis: Synthesis,
    cosim: CoSimulation,
    timing: Timing,
    utilisation: Utilisation,
) -> tuple[Quantity, ...]:
    """Compare the resources, clock and latency of a build with their predictions.

    C synthesis states a latency from the trip counts that pragmas guess, as the engine's loops are bounded at run time;
    it is left out.

    Args:
        needed: resources as predicted.
        asked_mhz: clock that the engine was emitted for.
        latency_cycles: of one image, as the cost model predicts it.
        clock_mhz: that the design was routed for, or None.
        synthesis, cosim: of Vitis HLS, if it took part.
        timing: of the routed design.
        utilisation: of the routed engine alone.
    """
    expected_mhz = 1000 / synthesis.estimated_clock_ns if synthesis.estimated_clock_ns else None
    fastest_mhz = None
    if clock_mhz is not None and timing.wns_ns is not None and timing.wns_ns < 1000 / clock_mhz:
        fastest_mhz = 1000 / (1000 / clock_mhz - timing.wns_ns)
    return (
        *(
            Quantity(
                name=name,
                predicted=float(getattr(needed, name)),
                synthesis=getattr(synthesis.utilisation, name),
                implementation=getattr(utilisation, name),
            )
            for name in RESOURCES
        ),
        Quantity(
            name="clock_mhz",
            predicted=float(asked_mhz),
            synthesis=expected_mhz,
            implementation=fastest_mhz,
        ),
        Quantity(
            name="latency_cycles",
            predicted=latency_cycles,
            synthesis=None,
            implementation=cosim.latency_cycles,
        ),
    )


def _member(contents: Contents, name: str) -> bytes:
    if name not in contents:
        raise StorageError(f"{name}: is missing; name a results.tar of build.sh")
    return contents[name]


def _report(contents: Contents, name: str, parse: Callable[[bytes], T]) -> T:
    """Return what a report says, which is nothing where the tools left none."""
    return read_report(parse, contents.get(REPORTS + name, b"<none/>"), name)


def _read_project(contents: Contents) -> tuple[ProjectRecord, Board]:
    """Return the project's record, whose digest must be that of the sources, and its board."""
    record, stated = (_member(contents, SOURCES + name) for name in (PROJECT_FILE, DIGEST_FILE))
    with reading(SOURCES + PROJECT_FILE, "emit and build again"):
        project = parse_json(record, ProjectRecord, "project")
        board = load_board(project.board)
    with reading(SOURCES.rstrip("/"), "build again"):
        sources = {name: content.decode() for name, content in contents.items() if name.startswith(SOURCES)}
        texts = {name.removeprefix(SOURCES): text for name, text in sources.items()}
    for path in sorted(texts.keys() - {PROJECT_FILE, DIGEST_FILE}):
        if not is_source(path, project.implementation):
            raise StorageError(f"{SOURCES}{path}: is no source of an engine of implementation {project.implementation}")
    digest = hardware_sha256(texts, project.implementation)
    if not digest.encode() == stated.strip() == project.hardware_sha256.encode():
        raise StorageError(f"{SOURCES}: a source was changed after it was emitted; emit and build again")
    return project, board


def _read_tools(contents: Contents, hls: bool) -> dict[str, str]:
    """Return the version of each tool; all determine the hardware."""
    tools = parse_values(_member(contents, "tools.txt"))
    expected = ("hls", "vivado") if hls else ("vivado",)
    if tools.keys() != set(expected) or not all(re.fullmatch("[ -~]{1,60}", said) for said in tools.values()):
        raise StorageError(f"tools.txt: must hold a version of {' and one of '.join(expected)}; build again")
    return tools


def _check_offsets(contents: Contents) -> None:
    """Refuse register offsets in the header that HLS writes, if there is one, that differ from the table's."""
    name = "xconv_engine_hw.h"
    header = contents.get(REPORTS + name)
    if header is None:
        return
    found = re.findall(r"_CONTROL_ADDR_(\w+?)_DATA\s+(0x[0-9a-fA-F]{1,16})", header.decode(errors="replace"))
    made = {register.lower(): int(offset, 16) for register, offset in found}
    for argument, held in registers.HLS_ARGUMENTS.items():
        expected = registers.ENGINE[held[0]].offset
        if made.get(argument) != expected:
            there = "nowhere" if argument not in made else f"at {made[argument]:#x}"
            raise StorageError(f"{name}: {argument} must lie at {expected:#x}, this Vitis HLS put it {there}")


def _check_timing(contents: Contents) -> Timing:
    """Return the slacks, which must be known and not negative; the report has what the Tcl did not write."""
    name = "implementation.txt"
    timing = read_report(parse_implementation, _member(contents, REPORTS + name), name)
    if timing.wns_ns is None or timing.whs_ns is None:
        timing = _report(contents, "timing.rpt", parse_timing)
    for kind, slack in (("setup", timing.wns_ns), ("hold", timing.whs_ns)):
        if slack is None:
            raise StorageError(f"{name}: no {kind} slack is reported; build again")
        if slack < 0:
            raise StorageError(f"{name}: {kind} slack is {slack:g} ns; take a slower clock or a smaller array")
    return timing
