from pathlib import Path

import pytest

from hw_templates.foundation.csv_table import read_rows, read_table
from hw_templates.foundation.errors import StorageError


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
    with pytest.raises(StorageError, match=r"table\.csv:2: name must be a finite number, got 'a'"):
        first.number("name")


def test_a_table_without_rows_or_file(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("name\n")
    with pytest.raises(StorageError, match="no rows"):
        read_rows(tmp_path / "empty.csv")
    with pytest.raises(StorageError, match="is missing"):
        read_rows(tmp_path / "absent.csv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n\n\n3\n", "table.csv:5: must have 2 cells, as many as columns, got 1"),
        ('a,b\n"1\n\n1",2\n3,4,5\n', "table.csv:5: must have 2 cells, as many as columns, got 3"),
        ('a,b\n1,2\n"3,4\n5,6\n7,8\n', "table.csv:3: must have 2 cells, as many as columns, got 1"),
        ("a,b,a\n1,2,3\n", "table.csv: must have one column 'a', has 2"),
        ("a\n" + "x" * 200_000 + "\n", "field larger than field limit"),
    ],
)
def test_a_row_is_named_by_the_line_on_which_it_begins(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(StorageError) as caught:
        read_rows(path)
    assert message in str(caught.value)


def test_of_a_file_that_is_being_written_only_lines_with_an_end_are_read(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    whole = b"a,b\n1,2\n3,456\n"
    for end in range(len(whole) + 1):
        path.write_bytes(whole[:end])
        table = read_table(path, growing=True)
        lines = whole[:end].count(b"\n")
        assert table.columns == (("a", "b") if lines else ())
        assert [(row.whole("a"), row.whole("b")) for row in table.rows] == [(1, 2), (3, 456)][: max(lines - 1, 0)]
    path.write_bytes("a,b\n1,2\n3,µ".encode()[:-1])
    assert len(read_table(path, growing=True).rows) == 1


def test_a_mark_of_the_byte_order_is_no_part_of_a_heading(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_bytes(b"\xef\xbb\xbfname\r\nx\r\n")
    assert [row.text("name") for row in read_rows(tmp_path / "table.csv")] == ["x"]


def test_text_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text('name\n"a\nb"\n\x1b[31m\n')
    for row, number in zip(read_rows(tmp_path / "table.csv"), (2, 4), strict=True):
        with pytest.raises(StorageError, match=rf"table\.csv:{number}: name must be one line of text, got '"):
            row.text("name")


@pytest.mark.parametrize("cell", ["nan", "inf", "-1e999"])
def test_a_number_is_finite(cell: str, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(f"size,kind\n{cell},pool\n")
    (row,) = read_rows(tmp_path / "table.csv")
    with pytest.raises(StorageError, match=r"table\.csv:2: size must be a finite number, got"):
        row.whole("size")
    with pytest.raises(StorageError, match=r"table\.csv:2: kind must be a or b or c, got 'pool'"):
        row.choice("kind", "a", "b", "c")


def test_zero_is_not_above_zero(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("size\n0\n")
    with pytest.raises(StorageError, match=r"table\.csv:2: size must be above zero, got 0"):
        read_rows(tmp_path / "table.csv")[0].positive("size")
