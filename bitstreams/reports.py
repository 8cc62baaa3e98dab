"""What the vendor's tools report of a build, as numbers; what a report does not say is None.

Vitis HLS 2020.2 to 2025.2 writes ``csynth.xml``, ``export_impl.xml`` and the table of a co-simulation; Vivado writes
the summaries of timing and utilisation as text. Where a tool knows no number it writes ``undef``, ``?``, ``NA`` or
``-``.
"""

import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from xml.etree.ElementTree import Element

from bitstreams.xml_file import read_xml
from hw_templates.errors import StorageError


@dataclass(frozen=True)
class Utilisation:
    """Resources that a report counts; a BRAM36 is two of ``bram_18k``, as in :class:`hw_templates.board.Board`."""

    dsp: float | None = None
    bram_18k: float | None = None
    uram: float | None = None
    lut: float | None = None
    ff: float | None = None


@dataclass(frozen=True)
class Synthesis:
    """Of ``csynth.xml``: what HLS expects.

    Attributes:
        tool_version: of Vitis HLS.
        part: device that it was synthesised for.
        target_clock_ns, estimated_clock_ns: period asked for, and expected.
        latency_cycles: worst case of one call; None where loop bounds are known at run time only.
        utilisation: expected.
    """

    tool_version: str | None = None
    part: str | None = None
    target_clock_ns: float | None = None
    estimated_clock_ns: float | None = None
    latency_cycles: float | None = None
    utilisation: Utilisation = field(default_factory=Utilisation)


@dataclass(frozen=True)
class CoSimulation:
    """Of a co-simulation: whether the RTL agreed with the C++, and cycles of one call (average of all)."""

    passed: bool | None = None
    latency_cycles: float | None = None


@dataclass(frozen=True)
class Timing:
    """Worst and total slacks in ns; negative is too slow (setup) or too fast (hold)."""

    wns_ns: float | None = None
    tns_ns: float | None = None
    whs_ns: float | None = None
    ths_ns: float | None = None


@dataclass(frozen=True)
class Implementation:
    """What place and route reached.

    Attributes:
        tool_version: of Vivado.
        part: device.
        timing: of the whole design.
        achieved_clock_ns: shortest period that would do, where the report states it.
        utilisation: of the whole design; of the engine alone in HLS's own reports.
    """

    tool_version: str | None = None
    part: str | None = None
    timing: Timing = field(default_factory=Timing)
    achieved_clock_ns: float | None = None
    utilisation: Utilisation = field(default_factory=Utilisation)


def number(text: str | None) -> float | None:
    """The number that a report's cell holds, or None for every way of saying that there is none.

    >>> number(" 1,024 "), number("undef"), number("?"), number("27.5 ns")
    (1024.0, None, None, 27.5)
    """
    match = re.match(r"\s*(-?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?)", text or "")
    return float(match.group(1).replace(",", "")) if match else None


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror or error})") from error


def _first(root: Element, *paths: str) -> str | None:
    """Text of the first of ``paths`` that is there."""
    return next((text for path in paths if (text := root.findtext(path)) is not None), None)


def read_csynth(path: Path) -> Synthesis:
    """``csynth.xml`` (``solution/syn/report``) of C synthesis.

    Raises:
        StorageError: the file is missing or no XML.
    """
    root = read_xml(path, "run the build again")
    timing, latency = "PerformanceEstimates/SummaryOfTimingAnalysis", "PerformanceEstimates/SummaryOfOverallLatency"
    resources = "AreaEstimates/Resources"
    return Synthesis(
        tool_version=_first(root, "ReportVersion/Version"),
        part=_first(root, "UserAssignments/Part"),
        target_clock_ns=number(_first(root, "UserAssignments/TargetClockPeriod")),
        estimated_clock_ns=number(_first(root, f"{timing}/EstimatedClockPeriod")),
        latency_cycles=number(_first(root, f"{latency}/Worst-caseLatency")),
        utilisation=Utilisation(
            dsp=number(_first(root, f"{resources}/DSP", f"{resources}/DSP48E")),
            bram_18k=number(_first(root, f"{resources}/BRAM_18K")),
            uram=number(_first(root, f"{resources}/URAM")),
            lut=number(_first(root, f"{resources}/LUT")),
            ff=number(_first(root, f"{resources}/FF")),
        ),
    )


def read_export(path: Path) -> Implementation:
    """``export_impl.xml`` (``solution/impl/report/verilog``) of ``export_design -flow impl``: the engine alone.

    Raises:
        StorageError: the file is missing or no XML.
    """
    root = read_xml(path, "run the build again")
    timing, resources = "TimingReport", "AreaReport/Resources"
    items = {item.get("NAME"): item.get("VALUE") for item in root.iter("item")}
    return Implementation(
        tool_version=_version(_first(root, "RunData/VIVADO_VERSION") or items.get("Vivado version")),
        part=items.get("Target device"),
        timing=Timing(
            wns_ns=number(_first(root, f"{timing}/WNS_FINAL", f"{timing}/SLACK_FINAL")),
            tns_ns=number(_first(root, f"{timing}/TNS_FINAL")),
        ),
        achieved_clock_ns=number(_first(root, f"{timing}/AchievedClockPeriod", f"{timing}/CP_FINAL")),
        utilisation=Utilisation(
            dsp=number(_first(root, f"{resources}/DSP", f"{resources}/DSP48E")),
            bram_18k=number(_first(root, f"{resources}/BRAM")),
            uram=number(_first(root, f"{resources}/URAM")),
            lut=number(_first(root, f"{resources}/LUT")),
            ff=number(_first(root, f"{resources}/FF")),
        ),
    )


def _version(text: str | None) -> str | None:
    match = re.search(r"20\d\d\.\d(?:\.\d)?", text or "")
    return match.group() if match else None


def read_cosim(path: Path) -> CoSimulation:
    """``conv_engine_cosim.rpt`` (``solution/sim/report``): a table with one row for each language.

    Its columns are language, status, latency (min, avg, max), interval (min, avg, max) and, from 2021.1 on, the total.

    Raises:
        StorageError: the file cannot be read.
    """
    for line in _text(path).splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if cells[0] in ("Verilog", "VHDL") and len(cells) >= 5 and number(cells[1]) is None and cells[1] != "NA":
            return CoSimulation(passed=cells[1].lower() == "pass", latency_cycles=number(cells[3]))
    return CoSimulation()


def read_timing(path: Path) -> Timing:
    """The text of ``report_timing_summary``: figures stand under their headings.

    Raises:
        StorageError: the file cannot be read.
    """
    lines = _text(path).splitlines()
    for index, line in enumerate(lines[:-2]):
        headings = re.split(r"\s{2,}", line.strip())
        if headings[0] == "WNS(ns)":
            cells = dict(zip(headings, lines[index + 2].split(), strict=False))
            return Timing(*(number(cells.get(f"{name}(ns)")) for name in ("WNS", "TNS", "WHS", "THS")))
    return Timing()


# Site types of 7-series and UltraScale+ reports, and how many each counts; asterisks mark footnotes.
_SITES = {
    "slice luts": ("lut", 1),
    "clb luts": ("lut", 1),
    "slice registers": ("ff", 1),
    "clb registers": ("ff", 1),
    "block ram tile": ("bram_18k", 2),
    "uram": ("uram", 1),
    "dsps": ("dsp", 1),
}


def read_utilisation(path: Path) -> Utilisation:
    """The text of ``report_utilization``: tables whose first columns are the site type and how many are used.

    Raises:
        StorageError: the file cannot be read.
    """
    found: dict[str, float] = {}
    for line in _text(path).splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        site = cells[0].rstrip("*").lower()
        used = number(cells[1]) if len(cells) > 2 else None
        if site in _SITES and used is not None:
            name, count = _SITES[site]
            found.setdefault(name, count * used)
    return Utilisation(**found)


def read_values(path: Path) -> dict[str, str]:
    """Lines ``name value`` as the emitted scripts write them.

    Raises:
        StorageError: the file cannot be read.
    """
    return dict(line.strip().partition(" ")[::2] for line in _text(path).splitlines() if line.strip())


def read_implementation(path: Path) -> Implementation:
    """``implementation.txt`` of ``tcl/bitstream.tcl``.

    Raises:
        StorageError: the file cannot be read.
    """
    values = read_values(path)
    return Implementation(
        tool_version=_version(values.get("vivado")),
        part=values.get("part"),
        timing=Timing(**{slack.name: number(values.get(slack.name)) for slack in fields(Timing)}),
    )
