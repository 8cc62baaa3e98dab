"""What operators take in hardware by an HLS tool's own estimate: delays by device and width, LUT, FF and DSP slices.

``operators.toml`` condenses 7,311 rows of public reports of Vivado HLS and Vitis HLS; ``benchmarks/hls_operators.py``
makes it from them and says how. Nothing in it was measured on a device: the reports are the tool's estimates, on which
it decides what it can do in a clock period.
"""

import math
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hw_templates.foundation.errors import InvalidValueError
from hw_templates.foundation.json_records import ZeroOrMore, check_record

TABLE = Path(__file__).parent / "operators.toml"

OPERATORS = ("add", "sub", "icmp", "select", "logic", "shift", "mul", "load")
"""Operators with a delay: ``logic`` is and, or, xor; ``shift`` one by a variable; ``load`` a read of a memory."""

_SEVEN_SERIES = re.compile(r"(xc7z\d+s?|xc7[akvs]x?\d+t?)[a-z]+\d+-(\d\w*)$")
_SERIES = {"7-series": re.compile(r"xc7"), "UltraScale+": re.compile(r"x[cq](?:zu\d|k\d|u\d|[kv]u\d+p)")}
_PART = re.compile(r"(x[a-z]+\d+[a-z]*)-[a-z]+\d+-(\d[A-Z]*)(?:-\w)?$")


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A line through what reports state of an operator; its median, where the slope is 0; or its medians by width.

    Attributes:
        base, per_bit: the value at no bits, and what a bit adds.
        least_bits, most_bits: widths between which it holds; beyond them it is that of the nearest.
        points: width and value, ascending, in place of the line where there are any.
        samples: different pairs of width and value that it was made from.
        rows: rows of the reports that state them.
        residual: standard deviation of the samples from it.
    """

    base: float
    per_bit: float
    least_bits: int
    most_bits: int
    samples: int
    rows: int
    residual: ZeroOrMore
    points: tuple[tuple[int, float], ...] = ()

    def at(self, bits: int) -> float:
        """Return the value at a width; of two points that are as near, the greater one."""
        if self.points:
            return min(self.points, key=lambda point: (abs(point[0] - bits), -point[1]))[1]
        return self.base + self.per_bit * min(max(bits, self.least_bits), self.most_bits)


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where the table comes from."""

    what: str
    rows: int
    repositories: int
    tools: tuple[str, ...]
    parts: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Multiplier:
    """Medians of multipliers whose wider operand has at most ``most_bits``."""

    most_bits: int
    lut: float
    ff: float
    dsp: float
    latency_cycles: float
    samples: int


@dataclass(frozen=True, kw_only=True)
class Costs:
    """The costs of a series' operators, by operator: LUT as a line over the width, FF only of registers."""

    lut: dict[str, Fit]
    ff: dict[str, Fit]
    latency_cycles: dict[str, Fit]
    multipliers: tuple[Multiplier, ...]


@dataclass(frozen=True, kw_only=True)
class _Table:
    source: Source
    series: dict[str, str]
    delays: dict[str, dict[str, Fit]]
    costs: dict[str, Costs]


@dataclass(frozen=True, kw_only=True)
class Delays:
    """Delays in ns of one device and speed grade.

    Attributes:
        device: whose reports they are from, with its speed grade.
        is_of_part: whether it is the device and grade of the part that was asked for, and not the nearest in the table.
        fits: by operator.
        lent: operators whose delays are another device's, since reports on this one have none, and which device's.
    """

    device: str
    is_of_part: bool
    fits: dict[str, Fit]
    lent: dict[str, str]

    def delay_ns(self, operator: str, bits: int) -> float:
        """Return the delay of one of :data:`OPERATORS` at a width."""
        return self.fits[operator].at(bits)

    def mux_ns(self, inputs: int, bits: int) -> float:
        """Return the delay of a selection of one of several values, as a tree of selections of two."""
        return math.ceil(math.log2(max(inputs, 1))) * self.delay_ns("select", bits)


@cache
def _table() -> _Table:
    return check_record(tomllib.loads(TABLE.read_text()), _Table, "hls_operators")


def source() -> Source:
    """Return where the figures come from."""
    return _table().source


def devices() -> tuple[str, ...]:
    """Return the devices with delays, each with its speed grade."""
    return tuple(_table().delays)


def costs_of(device: str) -> Costs:
    """Return what operators take on the series of one of :func:`devices`."""
    return _table().costs[_table().series[device]]


def device_of(part: str) -> tuple[str, str]:
    """Return the device and the speed grade of a part, as vendor tools name it.

    Raises:
        InvalidValueError: it is no such name.

    >>> device_of("xc7z020clg400-1"), device_of("xck26-sfvc784-2LV-c")
    (('xc7z020', '1'), ('xck26', '2LV'))
    """
    match = _SEVEN_SERIES.match(part) or _PART.match(part)
    if match is None:
        raise InvalidValueError("part", part, "device, package and speed grade, such as xc7z020clg400-1")
    return match[1], match[2]


def delays_of(part: str) -> Delays:
    """Return the delays of a part: its own, or those of the nearest device in the table.

    That is the one of its series with the same speed grade and the most reports, else one of a slower grade, else
    the slowest. What its reports do not state is lent by the next nearest.

    Raises:
        InvalidValueError: it is no part, or of a series without reports.

    >>> delays_of("xczu3eg-sbva484-1-i").device
    'xqzu5ev-1'
    """
    device, grade = device_of(part)
    near = _nearest(device, grade)
    if not near:
        raise InvalidValueError("part", part, f"of the series of one of {', '.join(devices())}")
    fits: dict[str, Fit] = {}
    lent = {}
    for name in near:
        for operator, fit in _table().delays[name].items():
            if operator not in fits:
                fits[operator] = fit
                if name != near[0]:
                    lent[operator] = name
    missing = [operator for operator in OPERATORS if operator not in fits]
    if missing:
        raise InvalidValueError("part", part, f"of a series whose reports state the delay of {missing[0]}")
    return Delays(device=near[0], is_of_part=near[0] == f"{device}-{grade}", fits=fits, lent=lent)


def _nearest(device: str, grade: str) -> list[str]:
    """Return devices of the same series, the nearest one first."""
    table = _table()
    series = next((name for name, pattern in _SERIES.items() if pattern.match(device)), "")

    def distance(name: str) -> tuple[bool, bool, int, int]:
        speed = int(name.rpartition("-")[2][0])
        slower = int(grade[0]) - speed  # a faster one comes last
        return name != f"{device}-{grade}", slower < 0, abs(slower), -table.delays[name]["add"].rows

    return sorted((name for name in table.delays if table.series[name] == series), key=distance)
