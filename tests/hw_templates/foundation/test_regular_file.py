"""Files that others hand over: regular ones within a bound are read, anything else is refused at once."""

import os
from pathlib import Path

import pytest

from hw_templates.foundation.errors import StorageError
from hw_templates.foundation.regular_file import open_regular, read_regular


def test_a_file_within_the_bound_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345678")
    assert read_regular(path, 8) == b"12345678"
    with pytest.raises(StorageError, match=r"file: has 8 bytes, and such a file has 7 at most"):
        read_regular(path, 7)


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"1234")
    real = os.fstat

    def grow(descriptor: int) -> os.stat_result:
        found = real(descriptor)
        path.write_bytes(b"12345")
        return found

    monkeypatch.setattr(os, "fstat", grow)
    with pytest.raises(StorageError, match="grew beyond 4 bytes while it was read"):
        read_regular(path, 4)


def test_pipes_devices_folders_and_missing_files_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, message in (
        (tmp_path / "pipe", "is no regular file"),
        (Path("/dev/zero"), "is no regular file"),
        (tmp_path, "is no regular file|cannot be read"),
        (tmp_path / "gone", r"cannot be read \(No such file"),
        (tmp_path / "a\0b", "cannot be read"),
    ):
        with pytest.raises(StorageError, match=message), open_regular(path, 1 << 40):
            pass
