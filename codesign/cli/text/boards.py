"""Text about boards."""

from collections.abc import Iterator, Sequence

from bitstreams.twin.server import Served
from hw_templates.board import Board

_HEADINGS = ("board", "title", "DSP", "BRAM18", "URAM", "LUT", "MHz", "DDR GB/s")


def board_table(boards: Sequence[Board]) -> Iterator[str]:
    """List boards and what they hold, in columns two spaces apart; numbers are aligned right."""
    rows = [
        (b.name, b.title, b.dsp, b.bram_18k, b.uram, b.lut, b.clocks_mhz[-1], f"{b.ddr.plan_gb_s} of {b.ddr.peak_gb_s}")
        for b in boards
    ]
    cells = [list(map(str, row)) for row in (_HEADINGS, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        sides = zip("<<>>>>>>", row, widths, strict=True)
        yield "  ".join(f"{cell:{side}{width}}" for side, cell, width in sides).rstrip()


def twin_lines(served: Served) -> Iterator[str]:
    """Say which twin is served, and where."""
    yield f"twin       {served.board} with engine {served.hardware_sha256:.12} on {served.host}:{served.port}"
