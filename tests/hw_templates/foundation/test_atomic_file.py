import os
from pathlib import Path

import pytest

from hw_templates.foundation.atomic_file import write_bytes_atomically, write_text_atomically
from hw_templates.foundation.errors import StorageError


def test_writes_and_replaces(tmp_path: Path) -> None:
    target = tmp_path / "new" / "file.txt"
    write_text_atomically(target, "old")
    write_bytes_atomically(target, "höher".encode())
    assert target.read_text() == "höher"
    assert [path.name for path in target.parent.iterdir()] == ["file.txt"]


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    previous = os.umask(0o027)
    try:
        write_text_atomically(tmp_path / "file", "x")
    finally:
        os.umask(previous)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "file.txt"
    write_text_atomically(target, "old")

    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(StorageError, match=r"file\.txt: cannot be written \(No space left on device\)"):
        write_text_atomically(target, "new")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "blocked").write_text("")
    with pytest.raises(StorageError, match="blocked"):
        write_text_atomically(tmp_path / "blocked" / "file.txt", "x")
