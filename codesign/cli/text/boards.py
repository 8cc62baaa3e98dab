"""Text about boards."""

from collections.abc import Iterator, Sequence

from bitstreams.twin.server import Served
from hw_templates.board import Board

_HEADINGS = ("board", "title", "DSP", "BRAM18", "URAM", "LUT", "MHz", "DDR GB/s")


def table_lines(headings: Sequence[str], rows: Sequence[Sequence[object]], left: int = 1) -> Iterator[str]:
    """Yield a table's lines: columns two spaces apart, the first ``left`` of them aligned left, the others right.

    >>> list(table_lines(("board", "DSP"), [("pynq-z2", 220)]))
    ['board    DSP', 'pynq-z2  220']
    """
    cells = [list(map(str, row)) for row in (headings, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        aligned = (
            cell.ljust(width) if index < left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(aligned).rstrip()


def board_table(boards: Sequence[Board]) -> Iterator[str]:
    """List boards and what they hold."""
    rows = [
        (b.name, b.title, b.dsp, b.bram_18k, b.uram, b.lut, b.clocks_mhz[-1], f"{b.ddr.plan_gb_s} of {b.ddr.peak_gb_s}")
        for b in boards
    ]
    yield from table_lines(_HEADINGS, rows, left=2)


def twin_lines(served: Served) -> Iterator[str]:
    """Say which twin is served, and where."""
    yield f"twin       {served.board} with engine {served.hardware_sha256:.12} on {served.host}:{served.port}"
