from pathlib import Path

import pytest

from cost_models.importers.table import read_rows
from hw_templates.errors import StorageError


def test_cells_as_text_and_numbers(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("name,size,note\na,3,\nb,2.5,x\n")
    first, second = read_rows(path)
    assert (first.text("name"), first.whole("size"), first.is_empty("note")) == ("a", 3, True)
    assert second.number("size") == 2.5
    with pytest.raises(StorageError, match=r"table\.csv:3: size must be a whole number, got 2\.5"):
        second.whole("size")
    with pytest.raises(StorageError, match=r"table\.csv:2: note must be given"):
        first.text("note")
    with pytest.raises(StorageError, match=r"table\.csv:2: name must be a number, got 'a'"):
        first.number("name")


def test_a_table_without_rows_or_file(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("name\n")
    with pytest.raises(StorageError, match="no rows"):
        read_rows(tmp_path / "empty.csv")
    with pytest.raises(StorageError, match="cannot be read"):
        read_rows(tmp_path / "absent.csv")
