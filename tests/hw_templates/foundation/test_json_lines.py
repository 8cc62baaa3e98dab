import json
import subprocess
import sys
from pathlib import Path

import pytest

from hw_templates.foundation.errors import StorageError
from hw_templates.foundation.json_lines import append_lines, read_lines


@pytest.mark.parametrize("cut", range(1, 9))
def test_a_line_is_whole_or_gone_wherever_its_writer_was_killed(cut: int, tmp_path: Path) -> None:
    path = tmp_path / "folder/file.jsonl"
    append_lines(path, ['{"a":1}'])
    path.write_bytes(path.read_bytes() + b'{"b":2}\n'[:cut])
    kept = [{"a": 1}, *([{"b": 2}] if cut >= 7 else [])]
    assert [json.loads(line) for line in read_lines(path)] == kept
    append_lines(path, ['{"c":3}'])
    assert [json.loads(line) for line in path.read_text().splitlines()] == [*kept, {"c": 3}]


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be written"):
        append_lines(tmp_path, ["1"])
    with pytest.raises(StorageError, match="is missing"):
        read_lines(tmp_path / "absent")


def test_a_long_unfinished_line_is_cut_off_and_one_without_its_end_is_kept(tmp_path: Path) -> None:
    path, first = tmp_path / "file.jsonl", json.dumps("x" * 200_000)
    append_lines(path, [first])
    path.write_bytes(path.read_bytes() + first.encode()[:150_000])
    append_lines(path, ["2"])
    assert path.read_text().splitlines() == [first, "2"]
    path.write_bytes(path.read_bytes()[:-1])
    append_lines(path, ["3"])
    assert path.read_text().splitlines() == [first, "2", "3"]


WRITER = """
import sys
from pathlib import Path
from hw_templates.foundation.json_lines import append_lines
for number in range(100):
    append_lines(Path(sys.argv[1]), [f'["{sys.argv[2]}", {number}]'])
"""


def test_processes_add_to_one_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "file.jsonl"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), name]) for name in "abc"]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    found = [tuple(json.loads(line)) for line in read_lines(path)]
    assert sorted(found) == [(name, number) for name in "abc" for number in range(100)]
