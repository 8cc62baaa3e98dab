"""Modules of the engine's Verilog, counted by yosys, not by Vivado, each beside the bar that it is held to.

    python benchmarks/engine_modules.py

Counts a few minutes. Modules are mapped to a 7-series device; the engine that is rendered gives the headers that they
include, and their sizes come from ``engine_modules.csv``, which the tests hold them to.
"""

import csv
from pathlib import Path

from bitstreams.building.synthesis import count_cells
from hw_templates.board import load_board
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.project.render import render

TABLE = Path(__file__).parent / "engine_modules.csv"
ACCELERATOR = Accelerator(
    pe_rows=8,
    pe_cols=8,
    pe_pixels=4,
    pack=2,
    ifmap_kib=64,
    weight_kib=64,
    ofmap_kib=32,
    axi_bits=64,
    clock_mhz=150,
)


def rows() -> list[dict[str, str]]:
    """Return the rows of the table."""
    with TABLE.open(newline="") as file:
        return list(csv.DictReader(file))


def project() -> dict[str, str]:
    """Return the project whose Verilog is counted."""
    return render(ACCELERATOR, load_board("pynq-z2"))


def parameters_of(row: dict[str, str]) -> dict[str, int]:
    """Return the parameters of a row's module."""
    pairs = (part.split("=") for part in row["parameters"].split())
    return {name: int(value) for name, value in pairs}


def main() -> None:
    """Print every figure."""
    rendered = project()
    for row in rows():
        counts = count_cells(rendered, row["module"], parameters_of(row))
        name = "_".join([row["module"], *row["parameters"].split()])
        for kind, count in vars(counts).items():
            print(f"figure module_{name}_{kind} {count} cells", flush=True)


if __name__ == "__main__":
    main()
