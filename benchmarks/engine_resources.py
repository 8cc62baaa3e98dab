"""Whole engines in Verilog, counted by yosys, not by Vivado: LUT, FF, DSP slices and block memories.

Every engine is rendered as a project of its own and mapped to a 7-series device, also where its board has one of
UltraScale+: yosys folds no adders into the slices of that family, so its counts would say nothing. An engine for
UltraScale+ packs products into fields of 18 bits, whose factor of 26 bits takes two DSP48E1 and one DSP48E2; its slices
are listed as they are counted here.

Nothing is placed or routed. Vivado moves registers into slices and block memories that stand beside them here, and
packs two small LUTs into one place.

    python benchmarks/engine_resources.py            count all engines; minutes each
    python benchmarks/engine_resources.py 4x4x1      count one
    python benchmarks/engine_resources.py --page     also write the table, engine by engine, and docs/resources.md
"""

import argparse
import csv
import time
from dataclasses import asdict, fields
from pathlib import Path

from bitstreams.building.synthesis import CellCounts, count_cells, yosys_version
from hw_templates.board import load_board
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.project.render import render

TABLE = Path(__file__).parent / "engine_resources.csv"
PAGE = Path(__file__).parents[1] / "docs/resources.md"
COUNTS = tuple(field.name for field in fields(CellCounts))
HEADINGS = ("LUT", "LUT as memory", "LUT as shift register", "FF", "DSP", "RAMB18", "RAMB36")

_SMALL = Accelerator(
    pe_rows=4,
    pe_cols=4,
    pe_pixels=1,
    pack=2,
    ifmap_kib=4,
    weight_kib=4,
    ofmap_kib=4,
    axi_bits=32,
    clock_mhz=100,
)


def engine(rows: int, cols: int, pixels: int, **others: int) -> Accelerator:
    """Return an accelerator of a PE array, with small buffers and 32-bit ports where nothing else is said."""
    values = {**_SMALL.as_dict(), "pe_rows": rows, "pe_cols": cols, "pe_pixels": pixels, **others}
    return Accelerator(**values)


_SINGLE = {"ifmap_buffers": 1, "weight_buffers": 1, "ofmap_buffers": 1}
ENGINES: dict[str, tuple[str, Accelerator]] = {
    "4x4x1": ("pynq-z2", engine(4, 4, 1)),
    "4x8x1-pack1-single": ("pynq-z2", engine(4, 8, 1, pack=1, ifmap_kib=8, **_SINGLE)),
    "8x4x3": ("pynq-z2", engine(8, 4, 3, ifmap_kib=16, ofmap_kib=8, weight_buffers=1)),
    "8x8x1-64bit": ("pynq-z2", engine(8, 8, 1, axi_bits=64, weight_kib=16)),
    "4x4x7": ("pynq-z2", engine(4, 4, 7, ifmap_kib=32, ofmap_kib=16)),
    "12x4x2-pack1": ("pynq-z2", engine(12, 4, 2, pack=1, ifmap_kib=16, weight_kib=8, ofmap_kib=2)),
    "8x12x1": ("pynq-z2", engine(8, 12, 1, weight_kib=32, ofmap_buffers=1)),
    "12x8x1-maps": ("pynq-z2", engine(12, 8, 1, map_kib=8)),
    "8x8x3-64bit": ("pynq-z2", engine(8, 8, 3, axi_bits=64, ifmap_kib=64, weight_kib=32, ofmap_kib=16)),
    "16x8x1-64bit-wide": (
        "zcu104",
        engine(16, 8, 1, axi_bits=64, weight_port_words=2, ifmap_kib=32, weight_kib=64, ofmap_kib=8),
    ),
    "8x8x4-64bit": ("pynq-z2", engine(8, 8, 4, axi_bits=64, ifmap_kib=64, weight_kib=64, ofmap_kib=32)),
    "24x8x2-64bit-single": (
        "pynq-z2",
        engine(24, 8, 2, axi_bits=64, ifmap_kib=32, weight_kib=32, ofmap_kib=32, **_SINGLE),
    ),
    "16x8x2-64bit-maps": (
        "pynq-z2",
        engine(16, 8, 2, axi_bits=64, ifmap_kib=32, weight_kib=32, ofmap_kib=16, map_kib=32),
    ),
    "16x16x1-128bit": (
        "zcu104",
        engine(16, 16, 1, axi_bits=128, ifmap_kib=64, weight_kib=128, ofmap_kib=32),
    ),
    "16x16x2-64bit": ("pynq-z2", engine(16, 16, 2, axi_bits=64, ifmap_kib=64, weight_kib=64, ofmap_kib=64)),
}
"""Name: board, and accelerator. The first ones are the smallest; tests count them."""


def read_table() -> dict[str, dict[str, str]]:
    """Return {engine: row} of the table that is kept; an engine that was never counted has none."""
    with TABLE.open(newline="") as file:
        return {row["engine"]: row for row in csv.DictReader(file)}


def write_table(rows: dict[str, dict[str, str]]) -> None:
    """Write the rows of the engines that there are, in their order."""
    with TABLE.open("w", newline="") as file:
        writer = csv.DictWriter(file, ("engine", *COUNTS, "seconds", "yosys"), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[name] for name in ENGINES if name in rows)


def table_text(rows: dict[str, dict[str, str]]) -> str:
    """Return the table in Markdown."""
    lines = [f"| engine | board | {' | '.join(HEADINGS)} | seconds |", "|---|---|" + "---:|" * (len(HEADINGS) + 1)]
    for name, (board, _) in ENGINES.items():
        if name in rows:
            cells = " | ".join(f"{int(rows[name][count]):,}" for count in (*COUNTS, "seconds"))
            lines.append(f"| {name} | {board} | {cells} |")
    return "\n".join(lines) + "\n"


def page_text(rows: dict[str, dict[str, str]]) -> str:
    """Return docs/resources.md."""
    versions = ", ".join(sorted({row["yosys"] for row in rows.values()}))
    described = "\n".join(
        f"- `{name}`: "
        + ", ".join(f"{key} {value}" for key, value in accelerator.as_dict().items() if key != "map_kib" or value)
        for name, (_, accelerator) in ENGINES.items()
        if name in rows
    )
    return f"""# Resources of the engine's Verilog

Made by `python benchmarks/engine_resources.py --page`. **Counted by {versions}, not by Vivado**: mapped to the
cells of a 7-series device with `synth_xilinx -family xc7 -flatten`, neither placed nor routed. LUTs are those of logic;
memories and shift registers made of LUTs stand beside them. Seconds are the time that yosys took on two shared cores.

{table_text(rows)}
DSP slices and block memories equal those that `cost_models/engine/blocks.py` derives from the sizes of each memory. An
engine for UltraScale+ (zcu104) multiplies 26-bit factors, which take two DSP48E1 each here and one DSP48E2 there.
Registers that Vivado takes into slices and block memories are counted as FF.

{described}
"""


def counted(name: str) -> dict[str, str]:
    """Count an engine and return its row of the table."""
    board, accelerator = ENGINES[name]
    started = time.monotonic()
    counts = asdict(count_cells(render(accelerator, load_board(board))))
    seconds = round(time.monotonic() - started)
    return {
        "engine": name,
        **{key: str(value) for key, value in counts.items()},
        "seconds": str(seconds),
        "yosys": yosys_version(),
    }


def main() -> None:
    """Count engines, and print the table and figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engines", nargs="*", choices=[*ENGINES, []], metavar="ENGINE", help="by name; all by default")
    parser.add_argument("--page", action="store_true", help="write the table and docs/resources.md")
    arguments = parser.parse_args()
    rows: dict[str, dict[str, str]] = {}
    for name in arguments.engines or ENGINES:
        rows[name] = counted(name)
        if arguments.page:
            kept = {**(read_table() if TABLE.exists() else {}), name: rows[name]}
            write_table(kept)
            PAGE.write_text(page_text(kept))
        for count in COUNTS:
            print(f"figure engine_{name}_{count} {rows[name][count]} cells", flush=True)
    print(table_text(rows))


if __name__ == "__main__":
    main()
