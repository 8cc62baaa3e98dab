"""Numbers in the reports of the vendor's tools; what a report does not state is None.

Vitis HLS 2020.2 to 2025.2 writes ``csynth.xml``, ``export_impl.xml`` and the table of a co-simulation; Vivado writes
the summaries of timing and utilisation as text. Where a tool knows no number it writes ``undef``, ``?``, ``NA`` or
``-``.
"""

import re
from dataclasses import dataclass, field, fields
from xml.etree.ElementTree import Element

from bitstreams.building.xml_file import parse_xml
from hw_templates.foundation.json_records import Finite, ZeroOrMore, check_fields, reading

_REMEDY = "run the build again"


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


def parse_csynth(content: bytes, name: str) -> Synthesis:
    """Read ``csynth.xml`` (``solution/syn/report``) of C synthesis.

    Raises:
        StorageError: it is no XML, or holds a number that cannot be; ``name`` begins the message.
    """
    root = parse_xml(content, name, _REMEDY)
    with reading(name, _REMEDY):
        return Synthesis(
            estimated_clock_ns=number(
                root.findtext("PerformanceEstimates/SummaryOfTimingAnalysis/EstimatedClockPeriod")
            ),
            utilisation=_resources(root, "AreaEstimates/Resources", "BRAM_18K"),
        )


def parse_export(content: bytes, name: str) -> Utilisation:
    """Read the resources of the engine in ``export_impl.xml`` (``solution/impl/report/verilog``).

    Raises:
        StorageError: it is no XML, or holds a number that cannot be; ``name`` begins the message.
    """
    root = parse_xml(content, name, _REMEDY)
    with reading(name, _REMEDY):
        return _resources(root, "AreaReport/Resources", "BRAM")


def _resources(root: Element, path: str, bram: str) -> Utilisation:
    cells = {"bram_18k": bram, "uram": "URAM", "lut": "LUT", "ff": "FF"}
    found = {name: number(root.findtext(f"{path}/{cell}")) for name, cell in cells.items()}
    # 2020.1 and earlier write DSP48E.
    return Utilisation(dsp=number(root.findtext(f"{path}/DSP") or root.findtext(f"{path}/DSP48E")), **found)


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


def parse_implementation(content: bytes, name: str) -> Timing:
    """Read the slacks of the whole design in ``implementation.txt`` of ``tcl/bitstream.tcl``.

    Raises:
        StorageError: it holds a number that cannot be; ``name`` begins the message.
    """
    values = parse_values(content)
    with reading(name, _REMEDY):
        return Timing(**{slack.name: number(values.get(slack.name)) for slack in fields(Timing)})
