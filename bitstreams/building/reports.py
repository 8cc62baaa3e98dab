"""Numbers in the reports of the vendor's tools; what a report does not state is None.

Vitis HLS 2020.2 to 2025.2 writes ``csynth.xml``, ``export_impl.xml`` and the table of a co-simulation; Vivado writes
the summaries of timing and utilisation as text. Where a tool knows no number it writes ``undef``, ``?``, ``NA`` or
``-``.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from typing import TypeVar
from xml.etree.ElementTree import Element

from defusedxml.ElementTree import fromstring

from hw_templates.foundation.json_records import Finite, ZeroOrMore, check_fields, reading

T = TypeVar("T")


class _Report:
    """Base of what is read from a report, which is called by its class in messages."""

    def __post_init__(self) -> None:
        check_fields(self, type(self).__name__.lower())


@dataclass(frozen=True, kw_only=True)
class Utilisation(_Report):
    """Resources that a report counts; a BRAM36 is two of ``bram_18k``, as in :class:`hw_templates.board.Board`."""

    dsp: ZeroOrMore | None = None
    bram_18k: ZeroOrMore | None = None
    uram: ZeroOrMore | None = None
    lut: ZeroOrMore | None = None
    ff: ZeroOrMore | None = None


@dataclass(frozen=True, kw_only=True)
class Synthesis(_Report):
    """Expectations of C synthesis: the shortest clock period, and the resources."""

    estimated_clock_ns: ZeroOrMore | None = None
    utilisation: Utilisation = field(default_factory=Utilisation)


@dataclass(frozen=True)
class CoSimulation(_Report):
    """Outcome of a co-simulation: whether the RTL agreed with the C++, and the average cycles of one call."""

    passed: bool | None = None
    latency_cycles: ZeroOrMore | None = None


@dataclass(frozen=True)
class Timing(_Report):
    """Worst and total slacks in ns; negative is too slow (setup) or too fast (hold)."""

    wns_ns: Finite | None = None
    tns_ns: Finite | None = None
    whs_ns: Finite | None = None
    ths_ns: Finite | None = None


def number(text: str | None) -> float | None:
    """Return the number in a report's cell, or None for every way of saying that there is none.

    >>> number(" 1,024 "), number("undef"), number("?"), number("27.5 ns")
    (1024.0, None, None, 27.5)
    """
    match = re.match(r"\s*(-?[0-9][0-9,]*(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)", text or "")
    return float(match.group(1).replace(",", "")) if match else None


def _lines(content: bytes) -> list[str]:
    return content.decode(errors="replace").splitlines()


def _tables(content: bytes) -> Iterator[list[str]]:
    """Yield the cells of each line, of which those of tables lie between bars."""
    for line in _lines(content):
        yield [cell.strip() for cell in line.strip().strip("|").split("|")]


def read_report(parse: Callable[[bytes], T], content: bytes, name: str) -> T:
    """Return what one of the functions below finds in a report.

    Raises:
        StorageError: it is no XML where it must be, or holds a number that cannot be; ``name`` begins the message.
    """
    with reading(name, "run the build again"):
        return parse(content)


def parse_csynth(content: bytes) -> Synthesis:
    """Read ``csynth.xml`` (``solution/syn/report``) of C synthesis."""
    root = fromstring(content)
    clock_ns = number(root.findtext("PerformanceEstimates/SummaryOfTimingAnalysis/EstimatedClockPeriod"))
    return Synthesis(estimated_clock_ns=clock_ns, utilisation=_resources(root, "AreaEstimates/Resources", "BRAM_18K"))


def parse_export(content: bytes) -> Utilisation:
    """Read the resources of the engine in ``export_impl.xml`` (``solution/impl/report/verilog``)."""
    return _resources(fromstring(content), "AreaReport/Resources", "BRAM")


def _resources(root: Element, path: str, bram: str) -> Utilisation:
    cells = {"bram_18k": bram, "uram": "URAM", "lut": "LUT", "ff": "FF"}
    found = {name: number(root.findtext(f"{path}/{cell}")) for name, cell in cells.items()}
    # 2020.1 and earlier write DSP48E.
    return Utilisation(dsp=number(root.findtext(f"{path}/DSP") or root.findtext(f"{path}/DSP48E")), **found)


def parse_cosim(content: bytes) -> CoSimulation:
    """Read ``conv_engine_cosim.rpt`` (``solution/sim/report``): a table with one row for each language.

    Its columns are language, status, latency (min, avg, max), interval (min, avg, max) and, from 2021.1 on, the total.
    """
    for cells in _tables(content):
        if cells[0] in ("Verilog", "VHDL") and len(cells) >= 5 and number(cells[1]) is None and cells[1] != "NA":
            return CoSimulation(passed=cells[1].lower() == "pass", latency_cycles=number(cells[3]))
    return CoSimulation()


def parse_timing(content: bytes) -> Timing:
    """Read the text of ``report_timing_summary``: figures stand under their headings."""
    lines = _lines(content)
    for index, line in enumerate(lines[:-2]):
        headings = re.split(r"\s{2,}", line.strip())
        if headings[0] == "WNS(ns)":
            cells = dict(zip(headings, lines[index + 2].split(), strict=False))
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


def parse_utilisation(content: bytes) -> Utilisation:
    """Read the text of ``report_utilization``: tables whose first columns are the site type and how many are used."""
    found: dict[str, float] = {}
    for cells in _tables(content):
        site = cells[0].rstrip("*").lower()
        used = number(cells[1]) if len(cells) > 2 else None
        if site in _SITES and used is not None:
            resource, count = _SITES[site]
            found.setdefault(resource, count * used)
    return Utilisation(**found)


def parse_values(content: bytes) -> dict[str, str]:
    """Read lines ``name value`` as the emitted scripts write them."""
    return dict(line.strip().partition(" ")[::2] for line in _lines(content) if line.strip())


def parse_implementation(content: bytes) -> Timing:
    """Read the slacks of the whole design in ``implementation.txt`` of ``tcl/bitstream.tcl``."""
    values = parse_values(content)
    return Timing(**{slack.name: number(values.get(slack.name)) for slack in fields(Timing)})
