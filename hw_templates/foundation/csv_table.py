"""CSV files with headings: rows whose cells are read as text and numbers, each error naming line and column."""

import csv
import io
import math
from dataclasses import dataclass
from pathlib import Path

from hw_templates.foundation.errors import StorageError
from hw_templates.foundation.json_records import reading


class Row:
    """One row of a table; a cell that is missing or is no number is an error that names file, line and column."""

    def __init__(self, place: str, cells: dict[str, str]) -> None:
        self.place = place
        self._cells = cells

    def text(self, column: str) -> str:
        """Return a cell, which must not be empty and have no line breaks or control characters."""
        value = self._cells.get(column)
        if not value:
            raise StorageError(f"{self.place}: {column} must be given")
        if not value.isprintable():
            raise StorageError(f"{self.place}: {column} must be one line of text, got {value!r}")
        return value

    def choice(self, column: str, *choices: str) -> str:
        """Return a cell, which must hold one of ``choices``."""
        value = self._cells.get(column, "")
        if value not in choices:
            raise StorageError(f"{self.place}: {column} must be {' or '.join(choices)}, got {value!r}")
        return value

    def number(self, column: str) -> float:
        """Return a cell as a finite number."""
        value = self.text(column)
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise StorageError(f"{self.place}: {column} must be a finite number, got {value!r}")
        return number

    def positive(self, column: str) -> float:
        """Return a cell as a finite number above zero."""
        value = self.number(column)
        if value <= 0:
            raise StorageError(f"{self.place}: {column} must be above zero, got {value:g}")
        return value

    def whole(self, column: str) -> int:
        """Return a cell as a whole number."""
        value = self.number(column)
        if value % 1:
            raise StorageError(f"{self.place}: {column} must be a whole number, got {value}")
        return int(value)

    def is_empty(self, column: str) -> bool:
        """Say whether a cell holds nothing, or the table has no such column."""
        return not self._cells.get(column)


@dataclass(frozen=True)
class Table:
    """Names of the columns, and the rows."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def read_rows(path: Path) -> tuple[Row, ...]:
    """Read the rows of a CSV file with headings.

    Raises:
        StorageError: as of :func:`read_table`, or there is no row.
    """
    rows = read_table(path).rows
    if not rows:
        raise StorageError(f"{path}: no rows")
    return rows


def read_table(path: Path, growing: bool = False) -> Table:
    """Read a CSV file with headings.

    Args:
        path: the file.
        growing: whether another process may be writing it; then a last line without an end is not read.

    Raises:
        StorageError: the file cannot be read, two columns have one name, or a row has another number of cells than
            there are columns.
    """
    rows = []
    with reading(path):
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1] if growing else content
        lines = csv.reader(io.StringIO(whole.decode("utf-8-sig"), newline=""))
        names = next(lines, [])
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise StorageError(f"{path}: must have one column {twice!r}, has {names.count(twice)}")
        number = lines.line_num + 1
        for cells in lines:
            place, number = f"{path}:{number}", lines.line_num + 1
            if not cells:
                continue
            if len(cells) != len(names):
                raise StorageError(f"{place}: must have {len(names)} cells, as many as columns, got {len(cells)}")
            rows.append(Row(place, dict(zip(names, cells, strict=True))))
    return Table(tuple(names), tuple(rows))
