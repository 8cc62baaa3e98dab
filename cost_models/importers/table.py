"""Rows of a published table."""

import csv
from pathlib import Path

from hw_templates.errors import StorageError


class Row:
    """One row of a table; a cell that is missing or is no number is an error that names file, row and column."""

    def __init__(self, place: str, cells: dict[str, str | None]) -> None:
        self.place = place
        self._cells = cells

    def text(self, column: str) -> str:
        """A cell, which must not be empty."""
        value = self._cells.get(column)
        if not value:
            raise StorageError(f"{self.place}: {column} must be given")
        return value

    def number(self, column: str) -> float:
        """A cell as a number."""
        value = self.text(column)
        try:
            return float(value)
        except ValueError:
            raise StorageError(f"{self.place}: {column} must be a number, got {value!r}") from None

    def whole(self, column: str) -> int:
        """A cell as a whole number."""
        value = self.number(column)
        if value % 1:
            raise StorageError(f"{self.place}: {column} must be a whole number, got {value}")
        return int(value)

    def is_empty(self, column: str) -> bool:
        """Whether a cell holds nothing."""
        return not self._cells.get(column)


def read_rows(path: Path) -> list[Row]:
    """The rows of a CSV file with headings.

    Raises:
        StorageError: it cannot be read or holds no row.
    """
    try:
        with path.open(newline="") as file:
            rows = [Row(f"{path}:{number}", cells) for number, cells in enumerate(csv.DictReader(file), start=2)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise StorageError(f"{path}: cannot be read ({error})") from error
    if not rows:
        raise StorageError(f"{path}: no rows")
    return rows
