import json
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
    with pytest.raises(StorageError, match="cannot be read"):
        read_lines(tmp_path / "absent")
