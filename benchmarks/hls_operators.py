"""The table of HLS operators, ``cost_models/hls_operators/operators.toml``, made from public reports of vendor tools.

    python benchmarks/hls_operators.py ../shared/data/vendor_reports

Rows are reports' lines: an operator of a width on a part, with the tool's estimate of its delay within a state, or of
its LUTs. Different designs repeat the same pair of width and value; each counts once, so that no design outweighs
others. A delay is a line over the width where at least 8 pairs of at least 4 widths state it and rise, else their
median. That of a selection neither rises nor is constant, and that of a comparison levels out, yet each width has
nearly one value (a selection of 12 bits 0.69 ns on xc7z020-1, of 8 bits 1.24): these are a median for each width, of
schedules alone, as they state the width of the type. Widths above 64 bits, and delays of 0, which are wires, are left
out.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

import numpy as np

from cost_models.hls_operators import TABLE, Fit, Multiplier
from hw_templates.foundation.csv_table import Row, read_rows

WHAT = (
    "Estimates of the HLS tools themselves (csynth reports, schedules) in public repositories; nothing was measured. "
    "Delays in ns within one state; LUT, FF, DSP of the operator alone."
)
FEWEST_PAIRS, FEWEST_WIDTHS, MOST_BITS = 8, 4, 64
FEWEST_ADDERS = 8
MULTIPLIER_BITS = (8, 11, 18, 25, 32, 64)

GROUPS = {"and": "logic", "or": "logic", "xor": "logic", "shl": "shift", "lshr": "shift", "ashr": "shift"}
DELAYS = ("add", "sub", "icmp", "select", "logic", "shift", "mul", "load")
BY_WIDTH = ("select", "icmp")
COMBINATIONAL = ("add", "sub", "icmp", "select", "logic", "shift")
DIVIDERS = ("sdiv", "udiv", "srem", "urem")


def text(row: Row, column: str) -> str:
    """Return a cell, which may be empty."""
    return "" if row.is_empty(column) else row.text(column)


def bits(row: Row) -> int:
    """Return the bits of the widest operand, 0 where the report has none."""
    widths = [part.rstrip("ns") for part in text(row, "widths").split("x")]
    return max((int(width) for width in widths if width.isdigit()), default=0)


def operator(row: Row) -> str:
    """Return the group of operators of a row."""
    return GROUPS.get(row.text("operator"), row.text("operator"))


def device(row: Row) -> str:
    """Return the device with its speed grade."""
    return f"{row.text('device')}{row.text('speed_grade')}"


def medians(values: Iterable[tuple[int, float]]) -> Fit:
    """Return the median at each width of pairs of width and value, each of which counts once."""
    rows = list(values)
    pairs = sorted(set(rows))
    widths = sorted({width for width, _ in pairs})
    points = {width: median(each for its, each in pairs if its == width) for width in widths}
    return Fit(
        base=0.0,
        per_bit=0.0,
        least_bits=widths[0],
        most_bits=widths[-1],
        samples=len(pairs),
        rows=len(rows),
        residual=round(float(np.std([each - points[width] for width, each in pairs])), 3),
        points=tuple((width, round(each, 3)) for width, each in points.items()),
    )


def fit(values: Iterable[tuple[int, float]]) -> Fit:
    """Return the line through pairs of width and value, each of which counts once."""
    rows = list(values)
    pairs = sorted(set(rows))
    widths, heights = (np.array(column, float) for column in zip(*pairs, strict=True))
    slope, base = 0.0, float(median(heights))
    if len(pairs) >= FEWEST_PAIRS and len(set(widths)) >= FEWEST_WIDTHS:
        line = np.polyfit(widths, heights, 1)
        if line[0] > 0:
            slope, base = map(float, line)
    slope, base = round(slope, 4), round(base, 3)
    return Fit(
        base=base,
        per_bit=slope,
        least_bits=int(widths.min()),
        most_bits=int(widths.max()),
        samples=len(pairs),
        rows=len(rows),
        residual=round(float(np.std(heights - base - slope * widths)), 3),
    )


def delays(rows: Sequence[Row]) -> dict[str, dict[str, Fit]]:
    """Return the delays of each device by operator."""
    found: dict[str, dict[str, list[tuple[int, float]]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        kind, name, width = row.text("kind"), operator(row), bits(row)
        if name not in DELAYS or row.is_empty("delay_ns") or not width <= MOST_BITS:
            continue
        latency, delay = text(row, "latency_cycles"), row.number("delay_ns")
        whole = "1" if name == "load" else "0"
        is_schedule = kind in (("sched",) if name in BY_WIDTH else ("expr+sched", "sched")) and latency == whole
        if (
            delay > 0
            and (is_schedule or (kind, name, latency) == ("instance", "mul", whole))
            and (width or name == "load")
        ):
            found[device(row)][name].append((width, delay))
    return {
        name: {each: (medians if each in BY_WIDTH else fit)(its) for each in DELAYS if (its := found[name][each])}
        for name in sorted(found)
        if len(set(found[name]["add"])) >= FEWEST_ADDERS
    }


def costs(rows: Sequence[Row]) -> dict[str, object]:
    """Return what operators take on a series: its rows."""
    lut = defaultdict(list)
    ff, latency = defaultdict(list), defaultdict(list)
    multipliers = []
    for row in rows:
        kind, name, width = row.text("kind"), operator(row), bits(row)
        if row.is_empty("LUT") or not 0 < width <= MOST_BITS:
            continue
        if name in COMBINATIONAL and kind in ("expr", "expr+sched"):
            lut[name].append((width, row.number("LUT")))
        if name in DIVIDERS and kind == "instance":
            lut["divider"].append((width, row.number("LUT")))
            ff["divider"].append((width, row.number("FF")))
            latency["divider"].append((width, row.number("latency_cycles")))
        if (kind, name) in (("expr", "mul"), ("expr+sched", "mul"), ("instance", "mul"), ("dsp", "mul_mul")):
            cycles = 0.0 if row.is_empty("latency_cycles") else row.number("latency_cycles")
            multipliers.append((width, row.number("LUT"), row.number("FF"), row.number("DSP"), cycles))
    return {
        "lut": {name: fit(lut[name]) for name in (*COMBINATIONAL, "divider") if lut[name]},
        "ff": {name: fit(values) for name, values in ff.items()},
        "latency_cycles": {name: fit(values) for name, values in latency.items()},
        "multipliers": [
            Multiplier(
                most_bits=most,
                lut=median(column[0]),
                ff=median(column[1]),
                dsp=median(column[2]),
                latency_cycles=median(column[3]),
                samples=len(column[0]),
            )
            for least, most in zip((0, *MULTIPLIER_BITS), MULTIPLIER_BITS, strict=False)
            if (column := list(zip(*(each[1:] for each in multipliers if least < each[0] <= most), strict=True)))
        ],
    }


def value(item: object) -> str:
    """Return a value in TOML, a record on one line."""
    if isinstance(item, Fit | Multiplier):
        return "{ " + ", ".join(f"{name} = {value(each)}" for name, each in asdict(item).items() if each != ()) + " }"
    if isinstance(item, float):
        return f"{item:.10g}" if item % 1 else f"{item:.1f}"
    if isinstance(item, str):
        return f'"{item}"'
    if isinstance(item, tuple):
        return f"[{', '.join(map(value, item))}]"
    if isinstance(item, list):
        lines = "".join(f"    {value(each)},\n" for each in item)
        return f"[\n{lines}]"
    return str(item)


def table(data: Path) -> str:
    """Return the content of the table, from a folder with ``hls_operators.csv``."""
    rows = read_rows(data / "hls_operators.csv")
    by_device = delays(rows)
    series = {device(row): row.text("series") for row in rows if device(row) in by_device}
    lines = ["# Made by benchmarks/hls_operators.py, which says how; do not edit.", "", "[source]"]
    source = {
        "what": WHAT,
        "rows": len(rows),
        "repositories": len({row.text("repo") for row in rows}),
        "tools": sorted({row.text("tool") for row in rows}),
        "parts": sorted({row.text("part") for row in rows}),
    }
    lines += [f"{name} = {value(each)}" for name, each in source.items()]
    lines += ["", "[series]", *(f"{name} = {value(series[name])}" for name in by_device)]
    for name, fits in by_device.items():
        lines += ["", f"[delays.{name}]", *(f"{each} = {value(its)}" for each, its in fits.items())]
    for name in sorted(set(series.values())):
        for part, its in costs([row for row in rows if row.text("series") == name]).items():
            if isinstance(its, dict):
                lines += ["", f'[costs."{name}".{part}]', *(f"{each} = {value(one)}" for each, one in its.items())]
            else:
                lines += ["", *(line for one in its for line in (f'[[costs."{name}".{part}]]', *fields(one)))]
    return "\n".join(lines) + "\n"


def fields(record: Multiplier) -> list[str]:
    """Return the fields of a record, a line each."""
    return [f"{name} = {value(each)}" for name, each in asdict(record).items()]


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path, help="a folder with hls_operators.csv")
    TABLE.write_text(table(parser.parse_args().data))


if __name__ == "__main__":
    main()
