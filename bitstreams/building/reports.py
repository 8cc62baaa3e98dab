"""What the vendor's tools report of a build, as numbers; what a report does not say is None.

Vitis HLS 2020.2 to 2025.2 writes ``csynth.xml``, ``export_impl.xml`` and the table of a co-simulation; Vivado writes
the summaries of timing and utilisation as text. Where a tool knows no number it writes ``undef``, ``?``, ``NA`` or
``-``.
"""

import math
import re
from dataclasses import dataclass, field, fields
from typing import Any
from xml.etree.ElementTree import Element

from bitstreams.building.xml_file import parse_xml
from hw_templates.foundation.errors import InvalidValueError
from hw_templates.foundation.json_records import reading

_REMEDY = "run the build again"


def _check_numbers(record: Any, name: str, least: float) -> None:
    """Refuse a record with a number that is not finite or below ``least``."""
    for entry in fields(record):
        value = getattr(record, entry.name)
        if isinstance(value, int | float) and not (math.isfinite(value) and value >= least):
            expected = "a finite number" + (f", {least:g} or more" if math.isfinite(least) else "")
            raise InvalidValueError(f"{name}.{entry.name}", value, expected)


@dataclass(frozen=True, kw_only=True)
class Utilisation:
    """Resources that a report counts; a BRAM36 is two of ``bram_18k``, as in :class:`hw_templates.board.Board`."""

    dsp: float | None = None
    bram_18k: float | None = None
    uram: float | None = None
    lut: float | None = None
    ff: float | None = None

    def __post_init__(self) -> None:
        _check_numbers(self, "utilisation", 0)


@dataclass(frozen=True, kw_only=True)
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

    def __post_init__(self) -> None:
        _check_numbers(self, "synthesis", 0)


@dataclass(frozen=True)
class CoSimulation:
    """Of a co-simulation: whether the RTL agreed with the C++, and cycles of one call (average of all)."""

    passed: bool | None = None
    latency_cycles: float | None = None

    def __post_init__(self) -> None:
        _check_numbers(self, "cosimulation", 0)


@dataclass(frozen=True)
class Timing:
    """Worst and total slacks in ns; negative is too slow (setup) or too fast (hold)."""

    wns_ns: float | None = None
    tns_ns: float | None = None
    whs_ns: float | None = None
    ths_ns: float | None = None

    def __post_init__(self) -> None:
        _check_numbers(self, "timing", -math.inf)


@dataclass(frozen=True, kw_only=True)
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

    def __post_init__(self) -> None:
        _check_numbers(self, "implementation", 0)


def number(text: str | None) -> float | None:
    """The number that a report's cell holds, or None for every way of saying that there is none.

    >>> number(" 1,024 "), number("undef"), number("?"), number("27.5 ns")
    (1024.0, None, None, 27.5)
    """
    match = re.match(r"\s*(-?[0-9][0-9,]*(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)", text or "")
    return float(match.group(1).replace(",", "")) if match else None


def _lines(content: bytes) -> list[str]:
    return content.decode(errors="replace").splitlines()


def _first(root: Element, *paths: str) -> str | None:
    """Text of the first of ``paths`` that is there."""
    return next((text for path in paths if (text := root.findtext(path)) is not None), None)


def parse_csynth(content: bytes, name: str) -> Synthesis:
    """Read ``csynth.xml`` (``solution/syn/report``) of C synthesis.

    Raises:
        StorageError: it is no XML, or holds a number that cannot be; ``name`` begins the message.
    """
    root = parse_xml(content, name, _REMEDY)
    timing, latency = "PerformanceEstimates/SummaryOfTimingAnalysis", "PerformanceEstimates/SummaryOfOverallLatency"
    with reading(name, _REMEDY):
        return Synthesis(
            tool_version=_first(root, "ReportVersion/Version"),
            part=_first(root, "UserAssignments/Part"),
            target_clock_ns=number(_first(root, "UserAssignments/TargetClockPeriod")),
            estimated_clock_ns=number(_first(root, f"{timing}/EstimatedClockPeriod")),
            latency_cycles=number(_first(root, f"{latency}/Worst-caseLatency")),
            utilisation=_resources(root, "AreaEstimates/Resources", "BRAM_18K"),
        )


def parse_export(content: bytes, name: str) -> Implementation:
    """Read ``export_impl.xml`` (``solution/impl/report/verilog``) of ``export_design -flow impl``: the engine alone.

    Raises:
        StorageError: it is no XML, or holds a number that cannot be; ``name`` begins the message.
    """
    root = parse_xml(content, name, _REMEDY)
    timing = "TimingReport"
    items = {item.get("NAME"): item.get("VALUE") for item in root.iter("item")}
    with reading(name, _REMEDY):
        return Implementation(
            tool_version=_version(_first(root, "RunData/VIVADO_VERSION") or items.get("Vivado version")),
            part=items.get("Target device"),
            timing=Timing(
                wns_ns=number(_first(root, f"{timing}/WNS_FINAL", f"{timing}/SLACK_FINAL")),
                tns_ns=number(_first(root, f"{timing}/TNS_FINAL")),
            ),
            achieved_clock_ns=number(_first(root, f"{timing}/AchievedClockPeriod", f"{timing}/CP_FINAL")),
            utilisation=_resources(root, "AreaReport/Resources", "BRAM"),
        )


def _resources(root: Element, path: str, bram: str) -> Utilisation:
    return Utilisation(
        dsp=number(_first(root, f"{path}/DSP", f"{path}/DSP48E")),
        bram_18k=number(_first(root, f"{path}/{bram}")),
        uram=number(_first(root, f"{path}/URAM")),
        lut=number(_first(root, f"{path}/LUT")),
        ff=number(_first(root, f"{path}/FF")),
    )


def _version(text: str | None) -> str | None:
    match = re.search(r"20[0-9]{2}\.[0-9](?:\.[0-9])?", text or "")
    return match.group() if match else None


def parse_cosim(content: bytes, name: str) -> CoSimulation:
    """Read ``conv_engine_cosim.rpt`` (``solution/sim/report``): a table with one row for each language.

    Its columns are language, status, latency (min, avg, max), interval (min, avg, max) and, from 2021.1 on, the total.

    Raises:
        StorageError: it holds a number that cannot be; ``name`` begins the message.
    """
    with reading(name, _REMEDY):
        for line in _lines(content):
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if cells[0] in ("Verilog", "VHDL") and len(cells) >= 5 and number(cells[1]) is None and cells[1] != "NA":
                return CoSimulation(passed=cells[1].lower() == "pass", latency_cycles=number(cells[3]))
        return CoSimulation()


def parse_timing(content: bytes, name: str) -> Timing:
    """Read the text of ``report_timing_summary``: figures stand under their headings.

    Raises:
        StorageError: it holds a number that cannot be; ``name`` begins the message.
    """
    lines = _lines(content)
    for index, line in enumerate(lines[:-2]):
        headings = re.split(r"\s{2,}", line.strip())
        if headings[0] == "WNS(ns)":
            cells = dict(zip(headings, lines[index + 2].split(), strict=False))
            with reading(name, _REMEDY):
                return Timing(*(number(cells.get(f"{slack}(ns)")) for slack in ("WNS", "TNS", "WHS", "THS")))
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


def parse_utilisation(content: bytes, name: str) -> Utilisation:
    """Read the text of ``report_utilization``: tables whose first columns are the site type and how many are used.

    Raises:
        StorageError: it holds a number that cannot be; ``name`` begins the message.
    """
    found: dict[str, float] = {}
    for line in _lines(content):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        site = cells[0].rstrip("*").lower()
        used = number(cells[1]) if len(cells) > 2 else None
        if site in _SITES and used is not None:
            resource, count = _SITES[site]
            found.setdefault(resource, count * used)
    with reading(name, _REMEDY):
        return Utilisation(**found)


def parse_values(content: bytes) -> dict[str, str]:
    """Read lines ``name value`` as the emitted scripts write them."""
    return dict(line.strip().partition(" ")[::2] for line in _lines(content) if line.strip())


def parse_implementation(content: bytes, name: str) -> Implementation:
    """Read ``implementation.txt`` of ``tcl/bitstream.tcl``.

    Raises:
        StorageError: it holds a number that cannot be; ``name`` begins the message.
    """
    values = parse_values(content)
    with reading(name, _REMEDY):
        return Implementation(
            tool_version=_version(values.get("vivado")),
            part=values.get("part"),
            timing=Timing(**{slack.name: number(values.get(slack.name)) for slack in fields(Timing)}),
        )
