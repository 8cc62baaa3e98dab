"""Tables in plain text."""

from collections.abc import Iterator, Sequence


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
